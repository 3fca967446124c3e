"""Group normalization, residual blocks, halving and doubling."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.nn.residual import Downsample, ResidualBlock, Upsample, doubled, halved


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def filled(variables, seed=0):
    """Random numbers instead of the initial ones and zeros."""
    leaves, tree = jax.tree.flatten(variables)
    generator = np.random.default_rng(seed)
    return jax.tree.unflatten(
        tree, [jnp.asarray(generator.normal(size=x.shape) * 0.3, jnp.float32) for x in leaves]
    )


def normalized(x, groups, epsilon):
    """By numpy in double."""
    x = np.float64(x)
    parts = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
    mean, var = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
    return ((parts - mean) / np.sqrt(var + epsilon)).reshape(x.shape)


@pytest.mark.parametrize('groups', [1, 4, 8])
@pytest.mark.parametrize('offset', [0.0, 1000.0])
def test_group_norm_is_its_formula(groups, offset):
    """Also far from zero, where the variance is the difference of large numbers."""
    x = normal(3, 5, 4, 8) + offset
    module = GroupNorm(groups, 1e-3)
    params = filled(module.init(jax.random.key(0), x))
    scale, bias = (np.asarray(params['params'][name]) for name in ('scale', 'bias'))
    expected = normalized(x, groups, 1e-3) * scale + bias
    atol = 1e-5 if offset == 0 else 1e-3
    np.testing.assert_allclose(module.apply(params, x), expected, atol=atol)
    a, b = normal(3, 8, seed=1), normal(3, 8, seed=2)
    expected = expected * (1 + a[:, None, None]) + b[:, None, None]
    np.testing.assert_allclose(module.apply(params, x, (a, b)), expected, atol=3 * atol)


def test_group_norm_gradients():
    """Against autodiff of the plain formula."""
    x, weights = normal(2, 4, 4, 8), normal(2, 4, 4, 8, seed=1)
    module = GroupNorm(2, 1e-3)
    params = filled(module.init(jax.random.key(0), x))
    modulation = (normal(2, 8, seed=2), normal(2, 8, seed=3))

    def plain(params, x, modulation):
        parts = x.reshape(2, 16, 2, 4)
        mean, var = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
        y = ((parts - mean) / jnp.sqrt(var + 1e-3)).reshape(x.shape)
        y = y * params['params']['scale'] + params['params']['bias']
        return y * (1 + modulation[0][:, None, None]) + modulation[1][:, None, None]

    def gradients(f):
        return jax.grad(lambda *a: jnp.sum(f(*a) * weights), (0, 1, 2))(params, x, modulation)

    for a, b in zip(
        jax.tree.leaves(gradients(module.apply)), jax.tree.leaves(gradients(plain)), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_group_norm_in_half_precision_has_float32_statistics():
    x = (normal(2, 8, 8, 4) + 30).astype(jnp.bfloat16)
    module = GroupNorm(2, dtype=jnp.bfloat16)
    y = module.apply(module.init(jax.random.key(0), x), x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), normalized(x, 2, 1e-5), atol=0.02)


@pytest.mark.parametrize('modulation', ['shift', 'scale_shift'])
@pytest.mark.parametrize('resize', [None, 'down', 'up'])
def test_shapes_and_gradients(modulation, resize):
    module = ResidualBlock(6, groups=2, modulation=modulation, resize=resize, dropout=0.5)
    x, embedding = normal(2, 4, 6, 4), normal(2, 5, seed=1)
    keys = jax.random.split(jax.random.key(0), 2)
    variables = filled(module.init(jax.random.key(0), x, embedding))
    run = lambda *given: jnp.square(module.apply(*given, keys)).sum()  # noqa: E731
    y = module.apply(variables, x, embedding, keys)
    times = {None: 1, 'down': 0.5, 'up': 2}[resize]
    assert y.shape == (2, 4 * times, 6 * times, 6)
    for gradient in jax.tree.leaves(jax.grad(run, (0, 1, 2))(variables, x, embedding)):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-6


def test_a_block_that_starts_at_zero_is_its_shortcut():
    x, zeros = normal(2, 4, 4, 4), jax.nn.initializers.zeros
    module = ResidualBlock(4, groups=2, out_init=zeros, divisor=2.0)
    variables = module.init(jax.random.key(0), x)
    np.testing.assert_array_equal(module.apply(variables, x), x / 2)
    assert 'shortcut' not in variables['params'] and 'time' not in variables['params']


def test_a_samples_output_does_not_depend_on_the_batch():
    """Dropout included."""
    module = ResidualBlock(4, groups=2, dropout=0.5)
    x, keys = normal(4, 4, 4, 4), jax.random.split(jax.random.key(1), 4)
    variables = filled(module.init(jax.random.key(0), x))
    y = module.apply(variables, x, None, keys)
    np.testing.assert_allclose(module.apply(variables, x[2:], None, keys[2:]), y[2:], atol=1e-5)
    assert abs(module.apply(variables, x) - y).max() > 0.1


def test_halving_undoes_doubling():
    x = normal(2, 3, 5, 4)
    np.testing.assert_array_equal(doubled(x), np.repeat(np.repeat(x, 2, 1), 2, 2))
    np.testing.assert_allclose(halved(doubled(x)), x, atol=1e-6)


def test_mistakes_are_sentences():
    x = jnp.ones((1, 3, 4, 4))
    with pytest.raises(UserError, match='3x4 cannot be halved'):
        halved(x)
    with pytest.raises(UserError, match='4 channels in 3 groups'):
        GroupNorm(3).init(jax.random.key(0), x)
    with pytest.raises(UserError, match='modulation of a block'):
        ResidualBlock(4, 2, modulation='scale').init(jax.random.key(0), x)


@pytest.mark.oracles
@pytest.mark.parametrize('kind', ['default', 'scale_shift'])
@pytest.mark.parametrize('resize', [None, 'down', 'up'])
def test_block_equals_diffusers(kind, resize):
    torch = pytest.importorskip('torch')
    resnet = pytest.importorskip('diffusers.models.resnet')
    torch.manual_seed(0)
    theirs = resnet.ResnetBlock2D(
        in_channels=4, out_channels=6, temb_channels=5, groups=2, eps=1e-4,
        time_embedding_norm=kind, up=resize == 'up', down=resize == 'down', output_scale_factor=1.5,
    )  # fmt: skip
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    modulation = 'scale_shift' if kind == 'scale_shift' else 'shift'
    module = ResidualBlock(6, 2, 1e-4, modulation=modulation, resize=resize, divisor=1.5)
    names = {'time': 'time_emb_proj', 'shortcut': 'conv_shortcut'}
    x, embedding = normal(2, 6, 4, 4), normal(2, 5, seed=1)
    like = jax.eval_shape(module.init, jax.random.key(0), x, embedding)
    ours = module.apply(from_torch(theirs, like, names), x, embedding)
    output = theirs(torch_image(x), torch.tensor(np.asarray(embedding)))
    np.testing.assert_allclose(ours, our_image(output), atol=2e-5)


@pytest.mark.oracles
@pytest.mark.parametrize('padding', [1, 0])
def test_resampling_equals_diffusers(padding):
    torch = pytest.importorskip('torch')
    resnet = pytest.importorskip('diffusers.models.resnet')
    torch.manual_seed(0)
    x = normal(2, 6, 4, 4)
    pairs = [
        (Downsample(5, padding), resnet.Downsample2D(4, True, 5, padding, name='op')),
        (Upsample(5), resnet.Upsample2D(4, True, out_channels=5)),
    ]
    for module, theirs in pairs:
        like = jax.eval_shape(module.init, jax.random.key(0), x)
        ours = module.apply(from_torch(theirs, like, {}), x)
        np.testing.assert_allclose(ours, our_image(theirs(torch_image(x))), atol=1e-5)


def torch_image(x):
    import torch

    return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)


def our_image(x):
    return x.detach().permute(0, 2, 3, 1).numpy()


def from_torch(module, like, names):
    """Layers one level deep, by name."""
    state = {name: x.detach().numpy() for name, x in module.state_dict().items()}

    def leaf(path, target):
        layer, kind = path[-2].key, path[-1].key
        x = state[f'{names.get(layer, layer)}.{"bias" if kind == "bias" else "weight"}']
        return jnp.asarray(np.moveaxis(x, (0, 1), (-1, -2)) if kind == 'kernel' else x)

    return jax.tree_util.tree_map_with_path(leaf, like)
