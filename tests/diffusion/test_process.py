"""Levels and the steps between them, against the algebra of normal distributions."""

import jax
import numpy as np
import pytest
import scipy.stats
from jax import numpy as jnp

from jaxcv.diffusion import process, schedules, spacing
from jaxcv.diffusion.process import Level, at, log_variance, posterior_mean, variances
from jaxcv.errors import UserError
from jaxcv.ops.noise import normal

GRIDS = {
    'linear': spacing.leading(schedules.discrete(schedules.linear()), 10),
    'cosine': spacing.trailing(schedules.discrete(schedules.cosine()), 13),
    'zero': spacing.trailing(
        schedules.discrete(schedules.zero_terminal_snr(schedules.linear())), 10
    ),
    'flow': spacing.flow(schedules.flow(3.0), 10),
    'edm': spacing.edm(schedules.edm(), 10),
}


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def test_noised_images():
    x0, noise = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 2)).astype(np.float32)
    one = Level(jnp.float32(0.6), jnp.float32(0.8), jnp.float32(0))
    np.testing.assert_allclose(process.noised(x0, noise, one), 0.6 * x0 + 0.8 * noise, rtol=1e-6)
    each = Level(jnp.array([1.0, 0.6, 0.0]), jnp.array([0.0, 0.8, 1.0]), jnp.zeros(3))
    found = process.noised(x0, noise, each)
    np.testing.assert_array_equal(found[0], x0[0])
    np.testing.assert_array_equal(found[2], noise[2])
    np.testing.assert_allclose(found[1], process.noised(x0, noise, one)[1], rtol=1e-6)


@pytest.mark.parametrize('name', GRIDS)
def test_the_posterior_is_what_conditioning_gives(name):
    """x_after ~ N(a x0, s^2) and x_now = r x_after + N(0, large): condition the first on x_now."""
    x0, x = np.random.default_rng(1).normal(size=(2, 2, 3)).astype(np.float32)
    levels = GRIDS[name]
    for i in range(9):
        now, after = at(levels, i), at(levels, i + 1)
        small, large = map(float, variances(now, after))
        r, a, s2 = float(now.alpha / after.alpha), float(after.alpha), float(after.sigma) ** 2
        np.testing.assert_allclose(large, float(now.sigma) ** 2 - r * r * s2, rtol=2e-4)
        precision = 1 / s2 + r * r / large
        np.testing.assert_allclose(small, 1 / precision, rtol=2e-5)
        mean = (a * x0 / s2 + r * x / large) / precision
        np.testing.assert_allclose(posterior_mean(x0, x, now, after), mean, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', GRIDS)
def test_the_step_to_a_clean_level_gives_x0(name):
    x0, x = np.random.default_rng(2).normal(size=(2, 2, 3)).astype(np.float32)
    now, after = at(GRIDS[name], -2), at(GRIDS[name], -1)
    assert variances(now, after)[0] == 0
    np.testing.assert_allclose(posterior_mean(x0, x, now, after), x0, rtol=1e-5)


@pytest.mark.parametrize('kind', ['small', 'large', 'learned'])
@pytest.mark.parametrize('name', GRIDS)
def test_log_variances_are_finite_everywhere(name, kind):
    """The small variance of the last step is 0, and its logarithm a NaN in other libraries."""
    levels = GRIDS[name]
    pairs = variances(at(levels, slice(-1)), at(levels, slice(1, None)))
    spread = jnp.linspace(0, 1, 7)[None]

    def total(spread):
        steps = jax.vmap(lambda small, large: log_variance(kind, small, large, spread))(*pairs)
        return steps.sum(), steps

    (_, steps), slope = jax.value_and_grad(total, has_aux=True)(spread)
    assert np.isfinite(steps).all() and np.isfinite(slope).all()
    if kind == 'learned':
        np.testing.assert_allclose(steps[:-1, 0, 0], np.log(pairs[0][:-1]), rtol=1e-5)
        np.testing.assert_allclose(steps[:, 0, -1], np.log(pairs[1]), rtol=1e-5)


def test_a_learned_variance_needs_its_network():
    with pytest.raises(UserError, match='twice the channels'):
        log_variance('learned', jnp.ones(()), jnp.ones(()))
    with pytest.raises(UserError, match='small'):
        log_variance('smal', jnp.ones(()), jnp.ones(()))


@pytest.mark.parametrize(
    'draw,theirs',
    [
        (process.uniform(), scipy.stats.uniform()),
        (process.log_normal(), scipy.stats.lognorm(1.2, scale=np.exp(-1.2))),
        (process.log_normal(-0.4, 1.0), scipy.stats.lognorm(1.0, scale=np.exp(-0.4))),
    ],
)
def test_draws_follow_their_distributions(draw, theirs):
    assert scipy.stats.kstest(np.asarray(draw(keys(5000))), theirs.cdf).pvalue > 1e-3


def test_indices_and_logits():
    index = process.uniform_index(10)(keys(5000))
    assert scipy.stats.chisquare(np.bincount(index, minlength=10)).pvalue > 1e-3
    t = np.float64(process.logit_normal(0.5, 2.0)(keys(5000)))
    theirs = scipy.stats.norm(0.5, 2.0)
    assert scipy.stats.kstest(np.log(t / (1 - t)), theirs.cdf).pvalue > 1e-3


def test_noise_belongs_to_its_sample():
    together = normal(keys(6), (3, 2))
    np.testing.assert_array_equal(normal(keys(6)[2:4], (3, 2)), together[2:4])
    draw = process.log_normal()
    np.testing.assert_array_equal(draw(keys(6)[2:4]), draw(keys(6))[2:4])
