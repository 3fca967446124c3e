"""Frechet distance: closed forms, scipy's matrix square root, rotations, few samples, streaming."""

import jax
import numpy as np
import pytest
import scipy.linalg
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.metrics.frechet import Gaussian, distance, frechet_distance, from_moments, gaussian
from jaxcv.metrics.moments import Moments, mean_and_covariance, merged, moments
from jaxcv.ops import across

RNG = np.random.default_rng(0)


def correlated(n, d, power=1.0, shift=0.0, seed=0):
    """Features with a decaying spectrum, as networks have them."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).normal(size=(d, d)) / d**0.5
    return ((rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -power) @ mix + shift).astype('f')


def standardized(n, d, seed=0):
    """Features whose sample mean is exactly 0 and sample covariance exactly 1."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    x = np.linalg.qr(x - x.mean(0))[0]
    return x * (n - 1) ** 0.5


def published(x, y):
    """The formula with scipy's sqrtm, in double precision."""
    a, b = np.cov(x.T.astype(np.float64)), np.cov(y.T.astype(np.float64))
    means = np.square(x.mean(0, np.float64) - y.mean(0, np.float64)).sum()
    return means + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)


def singular(x, y):
    """The same by singular values of the centered features, in double precision."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    a, b = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    trace = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    means = np.square(x.mean(0) - y.mean(0)).sum()
    return means + np.square(a).sum() + np.square(b).sum() - 2 * trace


# Closed forms


@pytest.mark.parametrize('n', [9, 400])
@pytest.mark.parametrize('scale', [1.0, 3.0])
@pytest.mark.parametrize('shift', [0.0, 0.7])
def test_shifted_and_scaled_gaussians(n, scale, shift):
    x = standardized(n, 8)
    y = scale * standardized(n, 8, 1) + shift
    expected = 8 * (scale - 1) ** 2 + 8 * shift**2
    np.testing.assert_allclose(jax.jit(frechet_distance)(x, y), expected, rtol=1e-5, atol=1e-10)


def test_commuting_covariances():
    """(C C')^½ of diagonal matrices: d² = sum of (s - s')²."""
    s, t = RNG.uniform(0, 3, (2, 12))
    x, y = standardized(100, 12) * s, standardized(100, 12, 1) * t
    np.testing.assert_allclose(frechet_distance(x, y), np.square(s - t).sum(), rtol=1e-5)


def test_two_dimensions_by_hand():
    """tr (C C')^½ = (tr C C' + 2 (det C C')^½)^½ for 2x2 matrices."""
    f, g = RNG.normal(size=(2, 2, 2))
    a, b = f.T @ f, g.T @ g
    trace = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    found = distance(Gaussian(jnp.zeros(2), jnp.asarray(f)), Gaussian(jnp.ones(2), jnp.asarray(g)))
    np.testing.assert_allclose(found, 2 + np.trace(a) + np.trace(b) - 2 * trace, rtol=1e-5)


# Independent reference


@pytest.mark.parametrize('n,m,d', [(300, 300, 16), (500, 90, 64), (300, 400, 128)])
def test_against_scipy(n, m, d):
    x, y = correlated(n, d), correlated(m, d, shift=0.1, seed=1) * 1.1
    np.testing.assert_allclose(frechet_distance(x, y), published(x, y), rtol=2e-4)


@pytest.mark.parametrize('n,m', [(30, 30), (20, 300), (300, 20), (2, 2), (3, 200)])
def test_fewer_samples_than_dimensions(n, m):
    """Where scipy's sqrtm of a singular product loses digits, or all of them."""
    x, y = correlated(n, 100), correlated(m, 100, seed=1)
    np.testing.assert_allclose(frechet_distance(x, y), singular(x, y), rtol=1e-5)
    np.testing.assert_allclose(frechet_distance(y, x), singular(x, y), rtol=1e-5)


def test_dead_and_repeated_features():
    x, y = correlated(200, 30), correlated(200, 30, seed=1)
    x, y = (np.concatenate([z, z[:, :10], np.zeros((200, 5), 'f')], 1) for z in (x, y))
    np.testing.assert_allclose(frechet_distance(x, y), singular(x, y), rtol=1e-4)


def test_small_distances_keep_their_digits():
    """A distance of a millionth of the variances, where a difference of traces is rounding."""
    x = standardized(300, 64)
    y = x * (1 + 1e-3)
    np.testing.assert_allclose(frechet_distance(x, y), 64e-6, rtol=2e-3)
    assert 0 <= frechet_distance(x, x) < 1e-9


def test_collapsed_samples():
    x = correlated(100, 20)
    one = np.repeat(x[:1], 100, 0)
    means = np.square(x.mean(0) - x[0]).sum()
    expected = means + np.trace(np.cov(x.T))
    np.testing.assert_allclose(frechet_distance(x, one), expected, rtol=1e-5)


# Invariances


def test_rotation_shift_and_order():
    x, y = correlated(200, 24), correlated(150, 24, shift=0.2, seed=1)
    turn = np.linalg.qr(RNG.normal(size=(24, 24)))[0].astype('f')
    expected = frechet_distance(x, y)
    np.testing.assert_allclose(frechet_distance(x @ turn, y @ turn), expected, rtol=1e-4)
    np.testing.assert_allclose(frechet_distance(x + 3, y + 3), expected, rtol=1e-3)
    np.testing.assert_allclose(frechet_distance(x[::-1], y), expected, rtol=1e-4)
    np.testing.assert_allclose(frechet_distance(y, x), expected, rtol=1e-4)
    np.testing.assert_allclose(frechet_distance(5 * x, 5 * y), 25 * expected, rtol=1e-4)


def test_half_precision_features_are_judged_in_float32():
    x, y = (jnp.asarray(correlated(100, 10, seed=i), jnp.bfloat16) for i in (0, 1))
    expected = frechet_distance(x.astype(jnp.float32), y.astype(jnp.float32))
    assert frechet_distance(x, y) == expected


# Gradients


@pytest.mark.parametrize('n,m', [(60, 50), (8, 6), (60, 6)])
def test_gradient_by_differences(n, m):
    x, y = correlated(n, 10), correlated(m, 10, seed=1)
    grad = np.asarray(jax.grad(frechet_distance)(x, y), np.float64)
    way = RNG.normal(size=x.shape)
    ahead, behind = (singular(x + s * 1e-4 * way, y) for s in (1, -1))
    np.testing.assert_allclose((grad * way).sum(), (ahead - behind) / 2e-4, rtol=1e-3)


@pytest.mark.parametrize('kind', ['equal', 'dead', 'collapsed', 'repeated values'])
def test_gradients_are_finite_where_the_root_has_none(kind):
    x = correlated(40, 10)
    y = {
        'equal': x,
        'dead': x * (np.arange(10) < 5),
        'collapsed': np.zeros_like(x),
        'repeated values': standardized(40, 10).astype('f'),
    }[kind]
    for a, b in ((x, y), (y, x)):
        assert np.isfinite(jax.grad(frechet_distance)(a, b)).all()


# Streaming


def test_streamed_batches_are_one():
    x, y = correlated(500, 32, shift=5.0), correlated(400, 32, shift=5.1, seed=1)
    origin = jnp.asarray(x[:50].mean(0))

    def streamed(z):
        padded = np.concatenate([z, np.full((70, 32), np.nan, 'f')]).reshape(-1, 10, 32)
        valid = (np.arange(len(z) + 70) < len(z)).reshape(-1, 10)
        return merged(*(moments(*part, origin) for part in zip(padded, valid, strict=True)))

    np.testing.assert_allclose(streamed(x).count, 500)
    mean, covariance = mean_and_covariance(streamed(x), origin)
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(x.T), atol=1e-5)
    found = distance(from_moments(streamed(x), origin), from_moments(streamed(y), origin))
    np.testing.assert_allclose(found, singular(x, y), rtol=1e-3)


def test_sums_over_devices():
    x = correlated(64, 6)
    shards = jax.pmap(lambda x: across.sum(moments(x)), across.DATA)(x.reshape(8, 8, 6))
    for found, expected in zip(shards, moments(x), strict=True):
        np.testing.assert_allclose(found[3], expected, rtol=1e-5, atol=1e-5)


def test_an_origin_saves_the_digits():
    """Features a thousand standard deviations from zero."""
    x = correlated(400, 8)
    far = x + np.float32(1024)
    expected = np.cov(far.T.astype(np.float64))
    _, found = mean_and_covariance(moments(far, origin=1024.0), 1024.0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    _, lost = mean_and_covariance(moments(far))
    assert abs(np.asarray(lost) - expected).max() > 0.01


def test_sums_kept_in_double_are_centered_in_double():
    far = (correlated(400, 8) + 1000).astype(np.float64)
    sums = Moments(np.float64(400), far.sum(0), far.T @ far)
    np.testing.assert_allclose(mean_and_covariance(sums)[1], np.cov(far.T), rtol=1e-6, atol=1e-8)
    assert isinstance(from_moments(sums).root, jax.Array)


def test_streamed_directions_without_variance():
    x, y = (correlated(400, 96, power=2.0, seed=i) for i in (0, 1))
    x[:, ::3] = y[:, ::3] = 0
    found = distance(from_moments(moments(x)), from_moments(moments(y)))
    np.testing.assert_allclose(found, singular(x, y), rtol=2e-2)


# Mistakes


def test_one_sample_is_refused():
    with pytest.raises(UserError, match='at least 2 samples'):
        gaussian(jnp.zeros((1, 4)))
