"""The posterior against closed forms, and the module it belongs to."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.autoencoder import Gaussian, KLAutoencoder, kl, losses, sample, standardization
from jaxcv.errors import UserError


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def keys(n, seed=0):
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(n))


MODULE = KLAutoencoder(2, (4, 8), 1, (False, True), groups=2)


def filled(module):
    """Random variables, without compiling the initializers."""
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.3, x.dtype), like)


def test_kl_is_the_integral():
    """Of q (log q - log p), by a sum over a fine grid in double."""
    posterior = Gaussian(normal(2, 1, 2, 3), normal(2, 1, 2, 3, seed=1))
    mean, log_variance = (np.float64(x)[..., None] for x in posterior)
    grid = np.linspace(-40, 40, 400_001)
    log_q = -0.5 * ((grid - mean) ** 2 / np.exp(log_variance) + log_variance)
    difference = np.exp(log_q) * (log_q + 0.5 * grid**2) / np.sqrt(2 * np.pi)
    wanted = difference.sum(-1) * (grid[1] - grid[0])
    np.testing.assert_allclose(kl(posterior), wanted.sum((1, 2, 3)), rtol=1e-5)


def test_kl_near_the_prior_does_not_cancel():
    """x^2 / 2 + y^2 / 4, where mean x and log variance y are small."""
    x, y = 1e-4, 2e-4
    posterior = Gaussian(jnp.full((1, 1, 1, 1), x), jnp.full((1, 1, 1, 1), y))
    np.testing.assert_allclose(kl(posterior)[0], x**2 / 2 + y**2 / 4, rtol=5e-2)
    assert kl(Gaussian(jnp.zeros((1, 1, 1, 1)), jnp.zeros((1, 1, 1, 1))))[0] == 0


def test_kl_gradients():
    """mean, and (variance - 1) / 2."""
    posterior = Gaussian(normal(2, 2, 2, 3), normal(2, 2, 2, 3, seed=1))
    gradient = jax.grad(lambda q: kl(q).sum())(posterior)
    np.testing.assert_allclose(gradient.mean, posterior.mean, atol=1e-6)
    wanted = (np.exp(posterior.log_variance) - 1) / 2
    np.testing.assert_allclose(gradient.log_variance, wanted, atol=1e-5)


def test_samples_have_the_posteriors_moments_and_their_own_keys():
    mean, log_variance = normal(1, 2, 2, 3), normal(1, 2, 2, 3, seed=1)
    many = Gaussian(*(jnp.broadcast_to(x, (20_000, 2, 2, 3)) for x in (mean, log_variance)))
    z = sample(many, keys(20_000))
    std = np.exp(np.asarray(log_variance[0]) / 2)
    assert (np.abs(z.mean(0) - mean[0]) < 5 * std / 20_000**0.5).all()
    np.testing.assert_allclose(z.std(0) / std, 1, atol=0.03)
    few = Gaussian(*(x[3:5] for x in many))
    np.testing.assert_array_equal(sample(few, keys(20_000)[3:5]), z[3:5])


def test_latents_are_standardized():
    z = 3 * normal(64, 4, 4, 2) + 1.5
    shift, scale = standardization(z)
    module = MODULE.clone(shift=float(shift), scale=float(scale))
    standard = module.standardized(z)
    np.testing.assert_allclose([standard.mean(), standard.std()], [0, 1], atol=1e-5)
    np.testing.assert_allclose(module.unstandardized(standard), z, atol=1e-5)


def test_shapes_and_gradients_of_the_whole():
    variables, images = filled(MODULE), normal(3, 8, 12, 3)

    @jax.jit
    def parts(variables):
        output, posterior = MODULE.apply(variables, images)
        return output, posterior, MODULE.apply(variables, posterior.mean, method='decode')

    output, posterior, decoded = parts(variables)
    assert output.shape == images.shape and posterior.mean.shape == (3, 4, 6, 2)
    np.testing.assert_allclose(output, decoded, atol=1e-5)

    def loss(params):
        output, posterior = MODULE.apply({'params': params}, images, keys(3))
        return losses.kl_loss(images, output, posterior, weight=0.1).sum(), output

    gradients, sampled = jax.jit(jax.grad(loss, has_aux=True))(variables['params'])
    assert np.abs(sampled - output).max() > 1e-3
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-7, path


def test_log_variances_are_bounded():
    far = jax.tree.map(lambda x: 1e4 * x, filled(MODULE))
    posterior = MODULE.apply(far, normal(1, 8, 8, 3), method='encode')
    assert posterior.log_variance.min() == -30 and posterior.log_variance.max() == 20


def test_losses_are_their_formulas():
    x, y = normal(2, 4, 4, 3), normal(2, 4, 4, 3, seed=1)
    posterior = Gaussian(normal(2, 2, 2, 1), normal(2, 2, 2, 1, seed=1))
    np.testing.assert_allclose(
        losses.reconstruction(x, y, 'l2'), np.square(x - y).mean((1, 2, 3)), rtol=1e-5
    )
    # Latent diffusion's sums, over the number of values.
    wanted = (np.abs(x - y).sum((1, 2, 3)) + 0.5 * kl(posterior)) / 48
    np.testing.assert_allclose(losses.kl_loss(x, y, posterior, 0.5), wanted, rtol=1e-5)


def test_mistakes_are_sentences():
    with pytest.raises(UserError, match='multiples of 2; got 9x8'):
        MODULE.apply(filled(MODULE), jnp.zeros((1, 9, 8, 3)))
    with pytest.raises(UserError, match='2 widths and 1 entries of attention'):
        MODULE.clone(attention=(True,)).init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    with pytest.raises(UserError, match='distance of a reconstruction'):
        losses.reconstruction(jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 3)), 'l3')
