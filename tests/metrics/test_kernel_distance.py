"""Kernel distance: a double loop, its expectation, its standard error."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.metrics.kernel import discrepancy, kernel_distance

KEY = jax.random.key(0)


def normal(*shape, seed=0, shift=0.0):
    return (np.random.default_rng(seed).normal(size=shape) + shift).astype('f')


def by_loops(x, y):
    """Unbiased MMD², as it is written."""

    def k(a, b):
        return (float(a.astype(np.float64) @ b) / len(a) + 1) ** 3

    def own(z):
        pairs = [k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
        return np.mean(pairs)

    return own(x) + own(y) - 2 * np.mean([k(a, b) for a in x for b in y])


@pytest.mark.parametrize('n,m,d', [(9, 9, 4), (12, 7, 3), (2, 3, 16)])
def test_against_a_double_loop(n, m, d):
    x, y = normal(n, d), normal(m, d, seed=1, shift=0.5)
    np.testing.assert_allclose(discrepancy(x, y), by_loops(x, y), rtol=1e-5)


def test_large_kernels_keep_their_digits():
    """A distance 10,000 times smaller than the kernels; plain means in float32 lose 2% of it."""
    x, y = abs(normal(1000, 64)) + 4, abs(normal(1000, 64, seed=1)) + 4
    kernels = [(a.astype(np.float64) @ b.T / 64 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    own = sum((k.sum() - np.trace(k)) / (1000 * 999) for k in kernels[:2])
    expected = own - 2 * kernels[2].mean()
    np.testing.assert_allclose(jax.jit(discrepancy)(x, y), expected, rtol=1e-3)


def test_closed_form_in_one_dimension():
    """E k(x, y) of N(a, 1) and N(b, 1) from moments: sum of C(3, i) E xⁱ E yⁱ."""

    def moment(mean):
        return np.array([1, mean, mean**2 + 1, mean**3 + 3 * mean])

    difference = moment(0.0) - moment(0.6)
    expected = (np.array([1, 3, 3, 1]) * difference**2).sum()
    x, y = normal(60_000, 1), normal(60_000, 1, seed=1, shift=0.6)
    found = kernel_distance(x, y, KEY, subsets=150, size=400)
    assert abs(found.value - expected) < 4 * found.error
    assert found.error < 0.1 * expected


def test_expectation_is_zero_at_any_size():
    """The mean over many draws from one distribution; a biased estimate would be off by far."""
    x, y = normal(40_000, 4, seed=2), normal(40_000, 4, seed=3)
    for size in (4, 20):
        found = kernel_distance(x, y, KEY, subsets=2000, size=size)
        assert abs(found.value) < 4 * found.error
        diagonal = np.mean((np.square(x).sum(1) / 4 + 1) ** 3) / size  # what the bias would be
        assert 4 * found.error < diagonal


def test_the_standard_error_is_that_of_repetitions():
    def once(pair):
        return kernel_distance(pair[0], pair[1] + 0.3, KEY, subsets=10, size=50)

    found = jax.lax.map(once, jnp.asarray(normal(60, 2, 500, 6)))
    expected = np.std(found.value, ddof=1)
    np.testing.assert_allclose(np.mean(found.error), expected, rtol=0.3)


def test_subsets_use_every_sample_once():
    """With as many subsets as there are, no sample is left out or dealt twice."""

    def cross(x):  # the cross term alone: linear in every x
        found = kernel_distance(x, -np.ones((60, 1), 'f'), KEY, subsets=6, size=10)
        return found.value

    # k(x, -1) = (1 - x)³ and k(0, x') = 1: the slope at x = 0 is 6 / 60 through the cross term, and
    # within a subset 2 * 9 * 3 * 0 = 0 through its own.
    slopes = jax.grad(cross)(jnp.zeros((60, 1)))
    np.testing.assert_allclose(slopes, 0.1, rtol=1e-5)


def test_gradient_by_differences():
    x, y = normal(12, 5), normal(10, 5, seed=1, shift=0.5)
    grad = np.asarray(jax.grad(discrepancy)(x, y), np.float64)
    way = normal(12, 5, seed=2).astype(np.float64)
    ahead, behind = (by_loops(x + s * 1e-4 * way, y) for s in (1, -1))
    np.testing.assert_allclose((grad * way).sum(), (ahead - behind) / 2e-4, rtol=1e-3)


def test_mistakes():
    with pytest.raises(UserError, match='2 subsets of 2 samples'):
        kernel_distance(jnp.zeros((5, 2)), jnp.zeros((5, 2)), KEY, subsets=1, size=5)
    with pytest.raises(UserError, match='100 of 1'):
        kernel_distance(jnp.zeros((1, 2)), jnp.zeros((5, 2)), KEY)
