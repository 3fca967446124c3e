"""Precision, recall, density, coverage: a brute-force loop, their expectations, prdc."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.metrics import neighbors
from jaxcv.metrics.neighbors import radii

overlap = jax.jit(neighbors.overlap, static_argnames=('k', 'block'))


def normal(*shape, seed=0, shift=0.0, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=shape) + shift).astype('f')


def brute(real, fake, k):
    """The definitions, sample by sample."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)

    def radius(x, i):
        others = [np.linalg.norm(x[i] - x[j]) for j in range(len(x)) if j != i]
        return sorted(others)[k - 1]

    reals = [radius(real, i) for i in range(len(real))]
    fakes = [radius(fake, j) for j in range(len(fake))]
    apart = np.array([[np.linalg.norm(r - f) for f in fake] for r in real])
    in_real = apart <= np.array(reals)[:, None]
    in_fake = apart <= np.array(fakes)
    return (
        in_real.any(0).mean(),
        in_fake.any(1).mean(),
        in_real.sum() / (k * len(fake)),
        (in_real.any(1).mean()),
    )


@pytest.mark.parametrize('block', [7, 32, 512])  # 7 divides neither count
@pytest.mark.parametrize('n,m,k', [(60, 45, 3), (40, 64, 5), (64, 64, 1)])
def test_against_brute_force(n, m, k, block):
    real, fake = normal(n, 4), normal(m, 4, seed=1, shift=0.6, scale=0.8)
    found = overlap(real, fake, k, block=block)
    np.testing.assert_allclose(found, brute(real, fake, k), rtol=1e-6)
    assert 0.1 < found.precision < 1 and 0.1 < found.recall < 1


def test_far_from_the_origin():
    real, fake = normal(60, 4), normal(45, 4, seed=1, shift=0.6)
    near, far = overlap(real, fake, 3), overlap(real + 512, fake + 512, 3)
    np.testing.assert_allclose(far, near, atol=0.02)


def test_radii_count_equal_distances():
    x = np.float32([0, 1, 2, 3, 10])[:, None]
    np.testing.assert_allclose(radii(x, 1), [1, 1, 1, 1, 49], atol=1e-5)
    np.testing.assert_allclose(radii(x, 2), [4, 1, 1, 4, 64], atol=1e-5)
    np.testing.assert_allclose(radii(x, 4), [100, 81, 64, 49, 100], atol=1e-5)
    np.testing.assert_allclose(radii(np.zeros((6, 3), 'f'), 3), 0)


def test_padding_does_not_count():
    real, fake = normal(50, 3), normal(40, 3, seed=1, shift=0.5)
    for filling in (0.0, 0.5, np.nan):
        padded_real = np.concatenate([real[:20], np.full((9, 3), filling, 'f'), real[20:]])
        padded_fake = np.concatenate([fake, np.full((11, 3), filling, 'f')])
        found = overlap(
            padded_real,
            padded_fake,
            3,
            real_valid=jnp.asarray((np.arange(59) < 20) | (np.arange(59) >= 29)),
            fake_valid=jnp.arange(51) < 40,
            block=16,
        )
        np.testing.assert_allclose(found, overlap(real, fake, 3), rtol=1e-6)


@pytest.mark.parametrize('k', [1, 3, 5])
def test_expectations_for_equal_distributions(k):
    """Density 1 and coverage 1 - ((n-1)...(n-k)) / ((2n-1)...(2n-k)): lemmas 1 and 2 of Naeem."""
    n, steps = 200, np.arange(1, k + 1)
    expected = 1 - np.prod((n - steps) / (2 * n - steps))
    draws = normal(30, 2, n, 8)
    found = np.stack(jax.lax.map(lambda pair: overlap(*pair, k), jnp.asarray(draws)), 1)
    error = found.std(0, ddof=1) / len(draws) ** 0.5
    assert abs(found[:, 2].mean() - 1) < 4 * error[2]
    assert abs(found[:, 3].mean() - expected) < 4 * error[3]
    # Both sides are alike.
    assert abs(found[:, 0].mean() - found[:, 1].mean()) < 5 * np.hypot(*error[:2])


def test_extremes():
    real = normal(80, 3)
    assert overlap(real, real, 3)[:2] == (1, 1) and overlap(real, real, 3).coverage == 1
    np.testing.assert_array_equal(overlap(real, real + 100, 3), 0)
    one = np.repeat(real[:1], 80, 0)  # collapsed onto a real image: precise, without recall
    found = overlap(real, one, 3)
    assert found.precision == 1 and found.recall < 0.05 and found.coverage < 0.2
    half = real[real[:, 0] > 0]
    found = overlap(real, np.concatenate([half, half])[:80], 3)
    assert found.precision == 1 and 0.3 < found.recall < 0.7


def test_mistakes():
    for k in (0, 5):
        with pytest.raises(UserError, match=f'5 samples have no neighbor number {k}'):
            radii(jnp.zeros((5, 2)), k)


@pytest.mark.oracles
@pytest.mark.parametrize('k', [1, 5])
def test_against_prdc(k):
    prdc = pytest.importorskip('prdc')
    real, fake = normal(300, 16), normal(250, 16, seed=1, shift=0.2, scale=0.9)
    found = overlap(real, fake, k, block=64)
    for name, value in prdc.compute_prdc(real, fake, k).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6, err_msg=name)
