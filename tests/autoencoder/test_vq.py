"""The lookup against brute force, its loss and gradients against the formula."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from jaxcv.autoencoder import VQAutoencoder, losses, nearest, quantize
from jaxcv.autoencoder.vq import perplexity, small


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def filled(module):
    """Random variables, without compiling the initializers."""
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.3, x.dtype), like)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), offset=st.sampled_from([0.0, 10.0]))
def test_nearest_is_brute_force(seed, offset):
    z, codebook = normal(3, 4, 2, 5, seed=seed) + offset, normal(17, 5, seed=seed + 1) + offset
    distances = np.square(np.float64(z)[..., None, :] - np.float64(codebook)).sum(-1)
    found = np.take_along_axis(distances, np.asarray(nearest(z, codebook))[..., None], -1)[..., 0]
    np.testing.assert_allclose(found, distances.min(-1), atol=1e-4)
    if offset == 0:
        np.testing.assert_array_equal(nearest(z, codebook), distances.argmin(-1))


def test_nearest_makes_no_array_of_all_differences():
    z, codebook = jnp.zeros((4, 8, 8, 16)), jnp.zeros((32, 16))
    jaxpr = jax.make_jaxpr(nearest)(z, codebook)
    largest = max(v.aval.size for equation in jaxpr.eqns for v in equation.outvars)
    assert largest == 4 * 8 * 8 * 32


def test_the_first_of_equals():
    assert nearest(jnp.zeros((1, 2)), jnp.asarray([[3.0, 0], [1, 0], [-1, 0], [1, 0]]))[0] == 1


def test_quantize_is_its_formula():
    z, codebook = normal(3, 4, 2, 5), normal(7, 5, seed=1)
    found = quantize(z, codebook, beta=0.3)
    np.testing.assert_array_equal(found.values, codebook[found.indices])
    squares = np.square(z - found.values).mean((1, 2, 3))
    np.testing.assert_allclose(found.loss, 1.3 * squares, rtol=1e-5)


def test_gradients_go_straight_through():
    """Of the values: to z as if nothing had happened, to the codebook none."""
    z, codebook, weights = normal(3, 4, 5), normal(7, 5, seed=1), normal(3, 4, 5, seed=2)

    def weighted(z, codebook):
        return jnp.sum(quantize(z, codebook).values * weights)

    to_z, to_codebook = jax.grad(weighted, (0, 1))(z, codebook)
    np.testing.assert_array_equal(to_z, weights)
    assert not to_codebook.any()


@pytest.mark.parametrize('beta', [0.0, 0.25, 1.0])
def test_beta_is_on_the_commitment(beta):
    """Gradients: 2 beta (z - e) for z; for a code, 2 (e - z) summed over those it is nearest to."""
    z, codebook = normal(1, 6, 5), normal(4, 5, seed=1)
    to_z, to_codebook = jax.grad(lambda *a: quantize(*a, beta).loss.sum(), (0, 1))(z, codebook)
    found = np.asarray(nearest(z, codebook))
    difference = np.asarray(z - codebook[found])
    np.testing.assert_allclose(to_z, 2 * beta * difference / 30, atol=1e-6)
    wanted = np.zeros((4, 5))
    np.add.at(wanted, found, -2 * difference / 30)
    np.testing.assert_allclose(to_codebook, wanted, atol=1e-6)


def test_perplexity():
    np.testing.assert_allclose(perplexity(jnp.arange(12) % 4, 6), 4, rtol=1e-5)
    np.testing.assert_allclose(perplexity(jnp.full((3, 4), 5), 6), 1, rtol=1e-5)


def test_a_fresh_codebook_is_small():
    codebook = small(jax.random.key(0), (8, 4))
    assert 0.1 < np.abs(codebook).max() <= 1 / 8


def test_the_whole_agrees_with_its_parts_and_learns_everywhere():
    module = VQAutoencoder(3, 8, 4, widths=(4, 8), blocks=1, middle_attention=False, groups=2)
    images, variables = normal(2, 8, 12, 3), filled(module)

    def loss(params):
        output, found = module.apply({'params': params}, images)
        return losses.vq_loss(images, output, found).sum(), (output, found)

    params = variables['params']
    gradients, (output, found) = jax.jit(jax.grad(loss, has_aux=True))(params)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-7, path
    assert output.shape == images.shape and found.values.shape == (2, 4, 6, 4)

    @jax.jit
    def parts(variables):
        indices = module.apply(variables, images, method='indices')
        return indices, module.apply(variables, indices, method='decode_indices')

    indices, decoded = parts(variables)
    np.testing.assert_array_equal(indices, found.indices)
    np.testing.assert_allclose(decoded, output, atol=1e-5)


@pytest.mark.oracles
def test_loss_is_diffusers_without_its_default():
    """Its VectorQuantizer has beta on the codebook term unless `legacy=False`: at beta = 1/4 the
    gradient of z is then 4 times too large and that of the codebook 4 times too small."""
    torch = pytest.importorskip('torch')
    vae = pytest.importorskip('diffusers.models.autoencoders.vae')
    z, codebook = normal(2, 3, 4, 5), normal(7, 5, seed=1)
    ours = jax.grad(lambda *a: quantize(*a, 0.25).loss.mean(), (0, 1))(z, codebook)
    for legacy, factors in ((False, (1, 1)), (True, (4, 0.25))):
        theirs = vae.VectorQuantizer(7, 5, beta=0.25, legacy=legacy)
        theirs.embedding.weight.data = torch.tensor(np.asarray(codebook))
        x = torch.tensor(np.asarray(z)).permute(0, 3, 1, 2).requires_grad_()
        values, loss, (_, _, indices) = theirs(x)
        loss.backward()
        found = quantize(z, codebook, 0.25)
        np.testing.assert_array_equal(found.indices.ravel(), indices)
        np.testing.assert_allclose(
            found.values, values.detach().permute(0, 2, 3, 1), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(found.loss.mean(), loss.item(), rtol=1e-5)
        np.testing.assert_allclose(factors[0] * ours[0], x.grad.permute(0, 2, 3, 1), atol=1e-6)
        np.testing.assert_allclose(factors[1] * ours[1], theirs.embedding.weight.grad, atol=1e-6)
