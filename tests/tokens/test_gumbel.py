"""The Gumbel-softmax: its expectation, its limits, its temperature."""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax import numpy as jnp

from jaxcv.tokens.gumbel import divergence, relaxed
from jaxcv.tokens.quantizers import quantizer


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def many(logits, temperature, n=20_000):
    return np.asarray(
        jax.jit(relaxed)(jnp.broadcast_to(logits, (n, *logits.shape)), temperature, keys(n))
    )


def test_low_temperatures_choose_as_the_softmax_says():
    logits = normal(5)
    weights = many(logits, 1e-4)
    np.testing.assert_allclose(np.sort(weights, -1)[:, -1].mean(), 1, atol=1e-3)
    counts = np.bincount(weights.argmax(-1), minlength=5)
    expected = scipy.special.softmax(np.float64(logits)) * len(weights)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3
    # The expectation of a one-hot vector is its distribution.
    np.testing.assert_allclose(weights.mean(0), expected / len(weights), atol=0.015)


def test_high_temperatures_mix_evenly():
    np.testing.assert_allclose(many(normal(5), 1e5, 100), 0.2, atol=1e-3)


@pytest.mark.parametrize('temperature', [0.3, 1.0, 3.0])
def test_expectation_by_quadrature(temperature):
    """Of two, the odds are those of the logits plus a logistic variable (the difference of two
    Gumbel ones)."""
    logits = jnp.asarray([0.4, -0.7])
    x = np.linspace(-30, 30, 20_001)
    mixed = scipy.special.expit((1.1 + x) / temperature)
    expected = np.trapezoid(mixed * scipy.stats.logistic.pdf(x), x)
    weights = many(logits, temperature)[:, 0]
    assert abs(weights.mean() - expected) < 4 * weights.std() / np.sqrt(len(weights))


def test_divergence_from_uniform():
    logits = 2 * normal(6, 7)
    p = scipy.special.softmax(np.float64(logits), -1)
    wanted = [scipy.stats.entropy(row, np.full(7, 1 / 7)) for row in p]
    np.testing.assert_allclose(divergence(logits), wanted, rtol=1e-5)
    np.testing.assert_allclose(divergence(jnp.zeros((2, 9))), 0, atol=1e-6)
    assert np.isfinite(jax.grad(lambda x: divergence(x).sum())(1e4 * logits)).all()


def test_temperature_falls_with_the_batches():
    made = quantizer('gumbel', codes=5, steps=4)
    params, state = made.init(jax.random.key(0), 3)
    found, step = [], jax.jit(made)
    for _ in range(6):
        found.append(float(made.temperature(state)))
        _, state = step(params, state, normal(2, 4, 3), keys(2))
    np.testing.assert_allclose(found[::2], [1, (1 + 1 / 16) / 2, 1 / 16])
    assert all(np.diff(found)[:4] < 0) and found[5] == found[4]


def test_soft_in_training_the_largest_logit_in_evaluation():
    made = quantizer('gumbel', codes=6, weight=0.5)
    params, state = made.init(jax.random.key(0), 3)
    params['bias'] = normal(6, seed=3)
    z = normal(4, 2, 5, 3)
    found, after = made(params, state, z)
    logits = np.asarray(z @ params['kernel'] + params['bias'])
    np.testing.assert_array_equal(found.codes, logits.argmax(-1))
    np.testing.assert_array_equal(found.values, params['codebook'][found.codes])
    np.testing.assert_array_equal(found.values, made.lookup(params, state, found.codes))
    np.testing.assert_allclose(found.loss, 0.5 * divergence(logits).mean((1, 2)), rtol=1e-5)
    assert after is state
    soft, _ = made(params, state, z, keys(4))
    weights = relaxed(jnp.asarray(logits), 1.0, keys(4))
    np.testing.assert_allclose(soft.values, weights @ params['codebook'], atol=1e-5)
    one, _ = made(params, state, z[2:3], keys(4)[2:3])
    np.testing.assert_allclose(one.values[0], soft.values[2], atol=1e-6)


def test_everything_learns():
    made = quantizer('gumbel', codes=6)
    params, state = made.init(jax.random.key(0), 3)
    weights = normal(4, 5, 3, seed=2)

    def loss(params, z):
        found, _ = made(params, state, z, keys(4))
        return (found.values * weights).sum() + found.loss.sum()

    for grad in jax.tree.leaves(jax.jit(jax.grad(loss, (0, 1)))(params, normal(4, 5, 3))):
        assert np.isfinite(grad).all() and np.abs(grad).max() > 1e-4
