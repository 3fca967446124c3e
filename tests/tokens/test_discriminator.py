"""Discriminators against what is known of their architectures."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens.discriminator import PatchDiscriminator, StyleDiscriminator, blurred, deviation


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def filled(module, *shape, spread=0.3):
    """Random variables, without compiling the initializers."""
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *shape)))
    generator = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: jnp.asarray(generator.normal(size=x.shape) * spread, x.dtype), like
    )


def applied(module):
    return jax.jit(module.apply)


STYLE = StyleDiscriminator((4, 6, 8), group=2)


@pytest.mark.parametrize('layers,seen', [(1, 16), (2, 34), (3, 70)])
def test_patches_are_the_published_ones(layers, seen):
    """Isola et al. name their discriminators by the pixels that a logit sees: 16, 34, 70."""
    module = PatchDiscriminator(2, layers)
    side = seen + 26  # enough that the middle one sees no border
    variables, image = filled(module, side, side, 1), normal(1, side, side, 1)

    def middle(image):
        logits = module.apply(variables, image)[0]
        return logits[logits.shape[0] // 2, logits.shape[1] // 2]

    rows, columns = np.nonzero(jax.jit(jax.grad(middle))(image)[0, :, :, 0])
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == seen


@pytest.mark.parametrize('norm', ['none', 'group', 'instance'])
def test_logits_depend_on_their_image_alone(norm):
    module = PatchDiscriminator(4, 2, norm, groups=2)
    images = normal(3, 16, 24, 3)
    variables = filled(module, 16, 24, 3)
    logits = applied(module)(variables, images)
    assert logits.shape == (3, 2, 4)
    np.testing.assert_allclose(applied(module)(variables, images[1:2])[0], logits[1], rtol=1e-4)


def test_equalized_kernels_are_plain_ones_scaled():
    """The same function, and gradients 1 / sqrt(inputs) as large."""
    plain, images = STYLE.clone(equalized=False), normal(4, 8, 8, 3)
    variables = filled(STYLE, 8, 8, 3, spread=1.0)

    def factor(path, leaf):
        return 1 / math.sqrt(math.prod(leaf.shape[:-1])) if path[-1].key == 'kernel' else 1.0

    factors = jax.tree_util.tree_map_with_path(factor, variables)
    scaled = jax.tree.map(jnp.multiply, variables, factors)

    def both(module, variables):
        def logits(variables):
            found = module.apply(variables, images)
            return found.sum(), found

        return jax.jit(jax.grad(logits, has_aux=True))(variables)

    (ours, logits), (theirs, others) = both(STYLE, variables), both(plain, scaled)
    np.testing.assert_allclose(logits, others, rtol=1e-3)
    for path, gradient in jax.tree_util.tree_leaves_with_path(ours):
        other, f = (dict(jax.tree_util.tree_leaves_with_path(t))[path] for t in (theirs, factors))
        assert np.abs(gradient).max() > 0, path
        np.testing.assert_allclose(
            gradient, other * f, rtol=1e-2, atol=1e-3 * np.abs(gradient).max()
        )


def test_fresh_kernels():
    """Variance 1, or 1 / inputs: with the factor the same functions."""
    module, images = StyleDiscriminator((8, 16), group=0), jnp.zeros((1, 2, 2, 3))
    for equalized in (True, False):
        params = module.clone(equalized=equalized).init(jax.random.key(0), images)['params']
        kernel = params['block0_conv1']['kernel']
        np.testing.assert_allclose(kernel.std() * (1 if equalized else 72**0.5), 1, rtol=0.1)


def test_deviation_is_that_of_each_group():
    x = normal(6, 2, 3, 4)
    found = deviation(x, 3)
    assert found.shape == (6, 2, 3, 1)
    for first in (0, 3):
        wanted = np.std(x[first : first + 3], axis=0).mean()
        np.testing.assert_allclose(found[first : first + 3], wanted, rtol=1e-5)


def test_groups_are_the_same_on_any_number_of_devices():
    images, variables = normal(16, 8, 8, 3), filled(STYLE, 8, 8, 3, spread=1.0)
    together = applied(STYLE)(variables, images)
    apart = jax.pmap(lambda x: STYLE.apply(variables, x))(images.reshape(8, 2, 8, 8, 3))
    np.testing.assert_allclose(apart.reshape(-1), together, rtol=1e-4, atol=1e-5)
    other = applied(STYLE)(variables, images.at[1].set(0))
    assert abs(other[0] - together[0]) > 1e-3
    np.testing.assert_allclose(other[2:], together[2:], rtol=1e-4, atol=1e-5)


def test_blur_keeps_constants_and_ramps_and_drops_the_finest_waves():
    rows, columns = np.mgrid[:8, :8].astype(np.float32)
    inner = blurred(jnp.asarray((2 * rows + columns + 1)[None, :, :, None]))[0, 1:-1, 1:-1, 0]
    wanted = 2 * (2 * np.arange(1, 3) + 0.5)[:, None] + (2 * np.arange(1, 3) + 0.5) + 1
    np.testing.assert_allclose(inner, wanted, rtol=1e-6)
    checks = jnp.asarray((-1.0) ** (rows + columns))[None, :, :, None]
    np.testing.assert_allclose(blurred(checks)[0, 1:-1, 1:-1], 0, atol=1e-6)


def test_bfloat16():
    module = STYLE.clone(dtype=jnp.bfloat16)
    variables, images = filled(STYLE, 8, 8, 3, spread=1.0), normal(4, 8, 8, 3)
    logits = applied(module)(variables, images)
    assert logits.dtype == jnp.float32
    exact = applied(STYLE)(variables, images)
    np.testing.assert_allclose(logits, exact, atol=0.05 * np.abs(exact).max())


def test_mistakes_are_sentences():
    with pytest.raises(UserError, match=r'at least 24x24; got 16x32: take fewer layers'):
        PatchDiscriminator(4, 3).init(jax.random.key(0), jnp.zeros((1, 16, 32, 3)))
    with pytest.raises(UserError, match=r'multiples of 4; got 8x10'):
        STYLE.init(jax.random.key(0), jnp.zeros((1, 8, 10, 3)))
    with pytest.raises(UserError, match=r'groups of 2 images got 3'):
        STYLE.apply(filled(STYLE, 8, 8, 3, spread=1.0), jnp.zeros((3, 8, 8, 3)))
    with pytest.raises(UserError, match='norm of a discriminator'):
        PatchDiscriminator(norm='batch').init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))


@pytest.mark.oracles
def test_patches_against_torch():
    torch = pytest.importorskip('torch')
    module = PatchDiscriminator(4, 2, 'instance')
    variables, images = filled(module, 20, 24, 3), normal(2, 20, 24, 3)
    params = variables['params']
    y = torch.tensor(np.asarray(images)).permute(0, 3, 1, 2)
    for i, name in enumerate(['conv0', 'conv1', 'conv2', 'logits']):
        kernel = torch.tensor(np.asarray(params[name]['kernel'])).permute(3, 2, 0, 1)
        bias = torch.tensor(np.asarray(params[name]['bias']))
        y = torch.nn.functional.conv2d(y, kernel, bias, stride=2 if i < 2 else 1, padding=1)
        if i in (1, 2):
            scale, shift = (
                torch.tensor(np.asarray(params[f'norm{i}'][k])) for k in ('scale', 'bias')
            )
            y = torch.nn.functional.instance_norm(y, weight=scale, bias=shift)
        if i < 3:
            y = torch.nn.functional.leaky_relu(y, 0.2)
    np.testing.assert_allclose(applied(module)(variables, images), y[:, 0], rtol=1e-3, atol=1e-4)
