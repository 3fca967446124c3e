"""Likelihoods against closed forms, quadrature and scipy."""

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from jax import numpy as jnp

from jaxcv.diffusion import likelihood, schedules, spacing
from jaxcv.diffusion.parameterization import Prediction
from jaxcv.diffusion.process import Level, at, noised, posterior_mean, variances
from jaxcv.errors import UserError
from jaxcv.ops.noise import normal

STD = 0.5
MODES = np.array([[-0.6, 0.2], [0.5, 0.5], [0.1, -0.7]], np.float32)
SHARES, WIDTH = np.array([0.5, 0.3, 0.2], np.float32), 0.15


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def gaussian(x, level):
    """The ideal denoiser of data N(0, STD^2), which needs no division by 0."""
    total = level.alpha**2 * STD**2 + level.sigma**2
    return Prediction(level.alpha * STD**2 / total * x, level.sigma / total * x)


def mixture(x, level):
    """The ideal denoiser of the mixture of Gaussians, x is [b 2]."""
    total = level.alpha**2 * WIDTH**2 + level.sigma**2
    away = x[:, None] - level.alpha * MODES
    share = jax.nn.softmax(jnp.log(SHARES) - (away**2).sum(-1) / 2 / total)[..., None]
    x0 = (share * (MODES + level.alpha * WIDTH**2 / total * away)).sum(1)
    return Prediction(x0, (share * level.sigma / total * away).sum(1))


def mixture_log_prob(x):
    each = [scipy.stats.multivariate_normal(mode, WIDTH**2).pdf(np.float64(x)) for mode in MODES]
    return np.log(SHARES @ np.array(each))


def grids(n):
    """Levels down to a clean one."""
    return {
        'discrete': spacing.linspace(schedules.discrete(schedules.linear()), n, rounded=False),
        'karras': spacing.karras(schedules.discrete(schedules.cosine()), n, high=300.0),
        'flow': spacing.flow(schedules.flow(), n),
        'edm': spacing.edm(schedules.edm(), n),
    }


# Pieces


def test_divergence_by_quadrature():
    a, b = scipy.stats.norm(0.3, 0.7), scipy.stats.norm(-0.2, 1.3)
    expected, _ = scipy.integrate.quad(lambda x: a.pdf(x) * (a.logpdf(x) - b.logpdf(x)), -6, 6)
    args = 0.3, 2 * jnp.log(0.7), -0.2, 2 * jnp.log(1.3)
    np.testing.assert_allclose(likelihood.normal_divergence(*args), expected, rtol=1e-5)
    np.testing.assert_array_equal(likelihood.normal_divergence(*args[:2], *args[:2]), 0)


@pytest.mark.parametrize('mean,std', [(0.1, 0.5), (-0.98, 0.02), (1.3, 0.002), (0.0, 1e-3)])
def test_the_mass_of_bins(mean, std):
    values = -1 + 2 * np.arange(256) / 255
    found = likelihood.discretized_log_prob(
        jnp.float32(values), jnp.float32(mean), 2 * jnp.log(jnp.float32(std))
    )
    theirs = scipy.stats.norm(np.float64(np.float32(mean)), np.float64(np.float32(std)))
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    mass = np.where(values > mean, -np.diff(theirs.sf(edges)), np.diff(theirs.cdf(edges)))
    seen = mass > 1e-300
    np.testing.assert_allclose(found[seen], np.log(mass[seen]), rtol=2e-3, atol=2e-3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(np.float64(found)).sum(), 1, rtol=1e-4)


@pytest.mark.parametrize('log_variance', [-30.0, -14.0, -4.0, 2.0, 20.0])
def test_gradients_of_bins_are_finite(log_variance):
    x = jnp.array([-1.0, -0.5, -1 + 254 / 255, 1.0])[:, None]

    def total(mean, log_variance):
        return likelihood.discretized_log_prob(x, mean, log_variance).sum()

    means = jnp.linspace(-3, 3, 13)
    value, slopes = jax.value_and_grad(total, (0, 1))(means, jnp.float32(log_variance))
    assert np.isfinite(value) and all(np.isfinite(slope).all() for slope in slopes)


def test_the_slope_of_a_bin_by_scipy():
    def mass(mean, std):
        return np.log(np.diff(scipy.stats.norm(mean, std).cdf([0.2 - 1 / 255, 0.2 + 1 / 255]))[0])

    def ours(mean, log_std):
        return likelihood.discretized_log_prob(jnp.float32(0.2), mean, 2 * log_std)

    slopes = jax.grad(ours, (0, 1))(jnp.float32(0.21), jnp.log(jnp.float32(0.01)))
    step = 1e-6
    expected = (mass(0.21 + step, 0.01) - mass(0.21 - step, 0.01)) / 2 / step
    np.testing.assert_allclose(slopes[0], expected, rtol=1e-3)
    high, low = (mass(0.21, 0.01 * np.exp(sign * step)) for sign in (1, -1))
    np.testing.assert_allclose(slopes[1], (high - low) / 2 / step, rtol=1e-3)


def test_even_values_cost_eight_bits():
    log_prob = -12 * jnp.log(2 + 2 / 255)  # uniform over what dequantized values reach
    np.testing.assert_allclose(likelihood.bits_per_dim(log_prob, 12), 8, rtol=1e-6)
    x = jnp.full((2000, 1), 1.0)
    found = likelihood.dequantized(x, keys(2000))
    theirs = scipy.stats.uniform(1 - 1 / 255, 2 / 255)
    assert scipy.stats.kstest(found[:, 0], theirs.cdf).pvalue > 1e-3


# The variational bound


def test_terms_of_the_bound_by_their_expectation():
    """Data N(0, STD^2) and its ideal denoiser k x: the means differ by c (x0 - k x), whose square
    has a closed expectation over x = alpha x0 + sigma noise."""
    levels = spacing.trailing(schedules.discrete(schedules.linear()), 10)
    x0 = jnp.broadcast_to(jnp.array([[-0.6], [0.2], [0.9]]), (3, 20_000))
    for i in (0, 4, 8):
        now, after = at(levels, i), at(levels, i + 1)
        small, large = map(float, variances(now, after))
        x = noised(x0, normal(keys(3, i), (20_000,)), now)
        k = float(gaussian(jnp.ones(()), now).x0)
        c = float(posterior_mean(jnp.ones((1, 1)), jnp.zeros((1, 1)), now, after)[0, 0])
        a, s = float(now.alpha), float(now.sigma)
        square = c**2 * ((1 - k * a) ** 2 * np.asarray(x0[:, 0]) ** 2 + (k * s) ** 2)
        for kind, width in (('small', small), ('large', large)):
            gap = np.log(small / width)
            expected = 0.5 * (np.exp(gap) - 1 - gap + square / width) / np.log(2)
            found = likelihood.step_bits(x0, x, gaussian(x, now), now, after, jnp.zeros(()), kind)
            np.testing.assert_allclose(found, expected, rtol=0.04)


@pytest.mark.parametrize('kind,spread', [('small', 0.0), ('large', 0.0), ('learned', 0.3)])
def test_the_decoder_has_the_variance_of_the_step_before(kind, spread):
    """The last posterior has none: index 1's stands in, and beta above it if that is learned."""
    levels = spacing.leading(schedules.discrete(schedules.linear()), 1000)
    x0 = jnp.linspace(-1, 1, 12).reshape(3, 4)
    x0 = jnp.round((x0 + 1) * 127.5) / 127.5 - 1
    guess = Prediction(x0 + 0.01, x0, jnp.full_like(x0, spread))
    second, _ = variances(at(levels, -3), at(levels, -2))
    now, after = at(levels, -2), at(levels, -1)
    found = likelihood.step_bits(x0, x0, guess, now, after, second, kind)
    beta = schedules.betas(schedules.linear())
    posterior = beta[1] * beta[0] / (1 - (1 - beta[0]) * (1 - beta[1]))
    np.testing.assert_allclose(second, posterior, rtol=1e-4)
    std = np.sqrt(posterior ** (1 - spread) * beta[0] ** spread)
    theirs = scipy.stats.norm(np.float64(x0) + 0.01, std)
    low = np.where(x0 == -1, -np.inf, np.float64(x0) - 1 / 255)
    high = np.where(x0 == 1, np.inf, np.float64(x0) + 1 / 255)
    expected = -np.log2(theirs.cdf(high) - theirs.cdf(low)).mean(1)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_the_bound_holds_and_adds_up():
    """8-bit values of N(0, STD^2) cost the entropy of the bins; 1000 ideal steps come near it (8.05
    for 7.76 bits: the last levels of the linear schedule are far apart)."""
    levels = spacing.leading(schedules.discrete(schedules.linear()), 1000)
    values = -1 + 2 * np.arange(256) / 255
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    mass = np.diff(scipy.stats.norm(0, STD).cdf(edges))
    exact = -(mass * np.log2(mass)).sum()
    x0 = np.random.default_rng(0).choice(values, (4, 1000), p=mass).astype(np.float32)
    bound = jax.jit(likelihood.variational_bound, static_argnums=(0, 4))(
        gaussian, levels, x0, keys(4), 'large'
    )
    assert bound.steps.shape == (1000, 4) and bound.total.shape == (4,)
    np.testing.assert_allclose(bound.total, bound.prior + bound.steps.sum(0), rtol=1e-6)
    expected = (np.asarray(levels.alpha[0] / levels.sigma[0]) * x0) ** 2 / 2 / np.log(2)
    np.testing.assert_allclose(bound.prior, expected.mean(1), rtol=1e-5)
    assert exact < float(bound.total.mean()) < exact + 0.4


def test_many_small_steps_cost_the_information_of_the_last_level():
    """With the ideal denoiser, all but the decoder tend to I(x0; x at the last noisy level) =
    log2(1 + snr STD^2) / 2, from above, like 1 / n."""
    x0, gaps = STD * jax.random.normal(jax.random.key(2), (4, 1000)), []
    x0 = x0 * STD / x0.std()
    run = jax.jit(likelihood.variational_bound, static_argnums=0)
    for n in (200, 400):
        levels = spacing.edm(schedules.edm(20.0), n, rho=50.0, low=0.003)
        bound = run(gaussian, levels, x0, keys(4))
        found = float((bound.prior + bound.steps[:-1].sum(0)).mean())
        gaps.append(found - 0.5 * np.log2(1 + (STD / 0.003) ** 2))
    assert 0 < gaps[1] < 0.2
    np.testing.assert_allclose(gaps[0] / gaps[1], 2, atol=0.25)


def test_a_learned_variance_at_its_ends_is_a_fixed_one():
    levels = spacing.leading(schedules.discrete(schedules.linear()), 10)
    x0 = jax.random.normal(jax.random.key(0), (2, 5))

    def learned(value):
        return lambda x, level: gaussian(x, level)._replace(spread=jnp.full_like(x, value))

    def bound(denoise, kind):
        return likelihood.variational_bound(denoise, levels, x0, keys(2), kind).steps

    np.testing.assert_allclose(bound(learned(0.0), 'learned'), bound(gaussian, 'small'), rtol=1e-4)
    fixed, free = bound(gaussian, 'large'), bound(learned(1.0), 'learned')
    np.testing.assert_allclose(free[:-1], fixed[:-1], rtol=1e-4)
    assert np.isfinite(fixed).all() and np.isfinite(free).all()
    with pytest.raises(UserError, match='twice the channels'):
        bound(gaussian, 'learned')


# The density of the ODE


@pytest.mark.parametrize('name', ['discrete', 'karras', 'flow', 'edm'])
def test_a_gaussian_exactly(name):
    """The chain starts at sigma N(0, 1): what it makes of that is the truth, but for the signal
    that is left at the noisiest level. One probe has no error, as the Jacobian is diagonal."""
    levels = grids(300)[name]
    x = STD * jax.random.normal(jax.random.key(1), (5, 4, 2))
    log_prob = jax.jit(likelihood.log_likelihood, static_argnums=0)(gaussian, levels, x, keys(5))
    scale = float(levels.sigma[0] / jnp.hypot(levels.sigma[0], STD * levels.alpha[0])) * STD
    exact = scipy.stats.norm.logpdf(np.float64(x), scale=scale).sum((1, 2))
    np.testing.assert_allclose(log_prob, exact, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize('name', ['discrete', 'flow', 'edm'])
def test_a_mixture_of_gaussians_within_one_percent(name):
    rng = np.random.default_rng(2)
    which = rng.choice(3, 64, p=SHARES / SHARES.sum())
    x = (MODES[which] + WIDTH * rng.normal(size=(64, 2))).astype(np.float32)
    log_prob = jax.jit(
        lambda levels, x: likelihood.log_likelihood(mixture, levels, x, keys(64), None)
    )(grids(300)[name], x)
    exact = mixture_log_prob(x)
    ratio = np.exp(log_prob - exact)
    assert abs(ratio - 1).mean() < 0.01 and abs(ratio - 1).max() < 0.05


def test_hutchinson_has_no_bias_and_belongs_to_the_sample():
    levels, x = grids(100)['flow'], jnp.asarray(MODES[:2] + 0.3)
    run = jax.jit(
        lambda x, keys, probes: likelihood.log_likelihood(mixture, levels, x, keys, probes),
        static_argnums=2,
    )
    exact = run(x, keys(2), None)
    one = run(jnp.repeat(x, 2000, 0), keys(4000), 1).reshape(2, 2000)
    error = np.asarray(one.std(1)) / np.sqrt(2000)
    assert (np.asarray(one.std(1)) > 1e-3).all()
    assert (abs(np.asarray(one.mean(1) - exact)) < 4 * error).all()
    many = run(x, keys(2), 4000)
    assert (abs(np.asarray(many - exact)) < 4 * error).all()
    np.testing.assert_allclose(run(x[1:], keys(2)[1:], 1), run(x, keys(2), 1)[1:], rtol=1e-5)


def test_the_second_order_of_the_ode():
    x = jnp.array([[0.3], [0.8]])
    exact = scipy.stats.norm.logpdf(np.float64(x), scale=STD).sum(1)
    errors = []
    for n in (16, 32, 64):
        levels = spacing.flow(schedules.flow(), n)
        errors.append(abs(likelihood.log_likelihood(gaussian, levels, x, keys(2)) - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 2, atol=0.3)


def test_the_slope_of_the_density_is_the_score():
    x = jnp.array([[0.3, -0.2], [0.8, 0.1]])
    levels = grids(100)['flow']

    def total(x):
        return likelihood.log_likelihood(gaussian, levels, x, keys(2)).sum()

    np.testing.assert_allclose(jax.jit(jax.grad(total))(x), -x / STD**2, rtol=0.01)


def test_levels_that_end_before_the_data():
    """For predictions of x0: x is then taken to be alpha x0 at the last, least noisy level."""
    levels = at(spacing.karras(schedules.discrete(schedules.linear()), 300, low=0.3), slice(-1))
    assert isinstance(levels, Level) and levels.sigma[-1] > 0
    x = STD * jax.random.normal(jax.random.key(1), (5, 4))
    log_prob = jax.jit(likelihood.log_likelihood, static_argnums=0)(gaussian, levels, x, keys(5))
    width = np.hypot(STD, float(levels.sigma[-1] / levels.alpha[-1]))
    exact = scipy.stats.norm.logpdf(np.float64(x), scale=width).sum(1)
    np.testing.assert_allclose(log_prob, exact, rtol=5e-3, atol=5e-3)
