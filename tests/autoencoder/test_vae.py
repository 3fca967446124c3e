"""Bounds of the likelihood against a model in which it is known."""

from functools import partial

import jax
import numpy as np
import pytest
import scipy.stats
from jax import numpy as jnp

from jaxcv.autoencoder import Gaussian, sample, vae
from jaxcv.errors import UserError

D, K, STD = 12, 3, 0.4


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def pca():
    """Probabilistic PCA (Tipping and Bishop, 1999), x = W z + m + std noise, with orthogonal
    columns: the posterior of z is Gaussian with independent components, of precision
    1 + |W_k|^2 / std^2. (W, m, data, the posterior, log p(data).)"""
    generator = np.random.default_rng(0)
    w = np.linalg.qr(generator.normal(size=(D, K)))[0] * [2.0, 1.0, 0.5]
    m = generator.normal(size=D)
    x = generator.normal(size=(7, K)) @ w.T + m + STD * generator.normal(size=(7, D))
    precision = 1 + (w**2).sum(0) / STD**2
    mean = (x - m) @ w / STD**2 / precision
    log_p = scipy.stats.multivariate_normal(m, w @ w.T + STD**2 * np.eye(D)).logpdf(x)
    w, m, x, mean, log_variance = (
        jnp.asarray(v, jnp.float32)
        for v in (w, m, x, mean, np.broadcast_to(-np.log(precision), mean.shape))
    )
    return w, m, x, Gaussian(mean, log_variance), log_p


def likelihood(w, m, x):
    return lambda z: vae.gaussian(x, z @ w.T + m, jnp.log(STD))


def expected(log_likelihood, posterior):
    """The mean over the posterior of what is quadratic in z, which the 2 K points
    mean +- sqrt(K) std in each direction give exactly."""
    std = jnp.sqrt(K) * jnp.exp(posterior.log_variance / 2)
    points = [posterior.mean + sign * std * jnp.eye(K)[i] for sign in (-1, 1) for i in range(K)]
    return jnp.stack([log_likelihood(z) for z in points]).mean(0)


def test_elbo_at_the_posterior_is_the_likelihood():
    w, m, x, posterior, log_p = pca()
    found = vae.elbo(expected(likelihood(w, m, x), posterior), posterior)
    np.testing.assert_allclose(found, log_p, rtol=1e-5)


def test_elsewhere_it_is_less_by_the_divergence():
    w, m, x, exact, log_p = pca()
    other = Gaussian(exact.mean + 0.1, exact.log_variance + 0.3)
    found = vae.elbo(expected(likelihood(w, m, x), other), other)
    gap = np.exp(0.3) - 1 - 0.3 + 0.1**2 * np.exp(-np.float64(exact.log_variance))
    np.testing.assert_allclose(found, log_p - 0.5 * gap.sum(1), rtol=1e-4)
    slope = jax.grad(lambda q: vae.elbo(expected(likelihood(w, m, x), q), q).sum())(exact)
    for part in slope:
        np.testing.assert_allclose(part, 0, atol=1e-3)


def test_beta_weighs_the_divergence():
    posterior = pca()[3]
    one, four = (vae.elbo(jnp.zeros(7), posterior, beta) for beta in (1.0, 4.0))
    np.testing.assert_allclose(four, 4 * one, rtol=1e-6)


@pytest.mark.parametrize('samples', [1, 5])
def test_importance_bound_at_the_posterior_needs_no_more_samples(samples):
    """p(x, z) / q(z | x) = p(x) for every z."""
    w, m, x, posterior, log_p = pca()
    found = vae.importance_bound(likelihood(w, m, x), posterior, keys(7), samples)
    np.testing.assert_allclose(found, log_p, rtol=1e-4)


def test_importance_bound_rises_to_the_likelihood():
    w, m, x, exact, log_p = pca()
    other = Gaussian(exact.mean + 0.1, exact.log_variance + 0.5)
    wide = Gaussian(*(jnp.repeat(v, 500, axis=0) for v in other))

    @jax.jit(static_argnums=0)
    def bound(samples):
        found = vae.importance_bound(
            likelihood(w, m, jnp.repeat(x, 500, axis=0)), wide, keys(3500), samples
        )
        return found.reshape(7, 500).mean(1)

    bounds = [np.asarray(bound(samples)) for samples in (1, 4, 64)]
    elbo = vae.elbo(expected(likelihood(w, m, x), other), other)
    np.testing.assert_allclose(bounds[0], elbo, atol=0.2)
    assert (bounds[0] < bounds[1] - 0.05).all() and (bounds[1] < bounds[2]).all()
    np.testing.assert_allclose(bounds[2], log_p, atol=0.03)


def test_importance_bound_of_a_sample_has_its_own_key():
    w, m, x, posterior, _ = pca()
    wide = Gaussian(posterior.mean, posterior.log_variance + 1)
    together = vae.importance_bound(likelihood(w, m, x), wide, keys(7), 3)
    part = Gaussian(*(v[2:4] for v in wide))
    apart = vae.importance_bound(likelihood(w, m, x[2:4]), part, keys(7)[2:4], 3)
    np.testing.assert_allclose(apart, together[2:4], rtol=1e-5)


@pytest.mark.parametrize('log_scale', [-6.0, -3.0, 0.0])
@pytest.mark.parametrize('mean', [-1.3, 0.1, 0.99])
def test_discretized_logistic_against_scipy(mean, log_scale):
    """All 256 masses, in both tails, and their sum."""
    values = -1 + 2 * np.arange(256) / 255
    found = vae.discretized_logistic(
        jnp.asarray(values)[:, None], jnp.full((256, 1), mean), log_scale
    )
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    theirs = scipy.stats.logistic(mean, np.exp(log_scale))
    below, above = theirs.logcdf(edges), theirs.logsf(edges)
    # In the right tail from the right, as 1 - small would round.
    with np.errstate(divide='ignore'):  # the other tail, which is not chosen
        left = below[1:] + np.log1p(-np.exp(below[:-1] - below[1:]))
        right = above[:-1] + np.log1p(-np.exp(above[1:] - above[:-1]))
    wanted = np.where(values < mean, left, right)
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(np.exp(np.float64(found)).sum(), 1, rtol=1e-3)


def test_likelihoods_have_finite_gradients_far_away():
    x = jnp.array([[-1.0, 0.2, 1.0]])
    for mean in (-50.0, 50.0):
        for log_scale in (-7.0, 5.0):
            arguments = jnp.full((1, 3), mean), jnp.full((1, 3), log_scale)
            for function in (vae.discretized_logistic, vae.gaussian):
                slopes = jax.grad(lambda *a, f=function: f(x, *a).sum(), (0, 1))(*arguments)
                assert all(np.isfinite(s).all() for s in slopes)


def test_bits():
    """A uniform guess among 256 values is 8 bits."""
    np.testing.assert_allclose(vae.bits_per_dim(-jnp.log(256.0) * 12, 12), 8, rtol=1e-6)


def test_shapes_and_gradients_of_the_whole():
    module = vae.VAE((8, 12), 5, 3, (4, 8), groups=2)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 12, 3)), jnp.float32)
    like = jax.eval_shape(module.init, jax.random.key(0), images)
    draw = np.random.default_rng(1).normal
    params = jax.tree.map(lambda x: jnp.asarray(draw(size=x.shape) * 0.3, x.dtype), like)['params']

    def loss(params):
        apply = partial(module.apply, {'params': params})
        output, posterior = apply(images, keys(3))
        likelihood = apply(images, sample(posterior, keys(3)), method='log_likelihood')
        wanted = vae.discretized_logistic(images, output, params['log_scale'])
        return -vae.elbo(likelihood, posterior, 4.0).sum(), (output, posterior, likelihood, wanted)

    gradients, (output, posterior, found, wanted) = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert output.shape == images.shape and posterior.mean.shape == (3, 5)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path
    with pytest.raises(UserError, match=r'images of 8x12 got 8x8'):
        module.apply({'params': params}, images[:, :, :8])
