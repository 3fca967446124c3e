"""Samplers against one another, where the mathematics says that they agree, and against algorithms
as published, in numpy."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules, spacing
from jaxcv.diffusion.parameterization import denoiser, parameterization
from jaxcv.diffusion.process import Level, log_variance, variances
from jaxcv.diffusion.samplers import sampler
from jaxcv.diffusion.samplers.ddim import invert
from jaxcv.diffusion.samplers.heun import louder
from jaxcv.diffusion.samplers.unipc import phis
from jaxcv.diffusion.sampling import prior, sample, stream
from jaxcv.ops.noise import normal

VP = schedules.discrete(schedules.linear())
ZERO = schedules.discrete(schedules.zero_terminal_snr(schedules.linear()))
EDM, FLOW = schedules.edm(), schedules.flow(3.0)
GRIDS = {
    'leading': lambda n: spacing.leading(VP, n),
    'trailing': lambda n: spacing.trailing(VP, n),
    'linspace': lambda n: spacing.linspace(VP, n),
    'karras': lambda n: spacing.karras(VP, n),
    'zero snr': lambda n: spacing.trailing(ZERO, n),
    'edm': lambda n: spacing.edm(EDM, n),
    'flow': lambda n: spacing.flow(FLOW, n),
}
SHAPE = (4, 4, 2)
KEYS = jax.random.split(jax.random.key(1), 3)


def network(x, time, condition):
    """A velocity, of noisy images of unit size."""
    return jnp.tanh(x + 0.5 * jnp.roll(x, 1, 1) + jnp.sin(time / 200)[:, None, None, None])


def denoise(x, level):
    """A bounded nonlinear belief, at every level of every process."""
    meaning = parameterization('v')
    scaled = jnp.hypot(level.alpha, level.sigma)
    meaning = meaning._replace(scale_input=lambda x, level: x / scaled)
    return denoiser(meaning, network)(x, level, None)


def run(*methods, levels, x=None):
    x = prior(levels, SHAPE, stream(KEYS, 10**6)) if x is None else x
    together = jax.jit(lambda x: [sample(m, denoise, levels, x, KEYS)[0] for m in methods])
    return [np.asarray(x) for x in together(x)]


# The same method under several names


@pytest.mark.parametrize('grid', GRIDS)
def test_ddim_with_all_noise_is_ddpm_with_the_small_variance(grid):
    a, b = run(sampler('ddim', eta=1.0), sampler('ddpm'), levels=GRIDS[grid](13))
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.isfinite(a).all() and a.std() > 0.1


@pytest.mark.parametrize('n', [7, 10, 13, 30, 50, 1000])
@pytest.mark.parametrize('grid', GRIDS)
def test_no_variance_is_nan(grid, n):
    levels = GRIDS[grid](n)
    now, after = (Level(*(v[part] for v in levels)) for part in (slice(0, -1), slice(1, None)))
    small, large = variances(now, after)
    assert np.isfinite(small).all() and np.isfinite(large).all()
    assert (small >= 0).all() and (small <= large * (1 + 1e-6)).all()
    assert small[-1] == 0
    for kind in ('small', 'large', 'learned'):
        assert np.isfinite(log_variance(kind, small, large, jnp.full(n, 0.3))).all()


def test_first_order_methods_agree():
    """DPM-Solver++(1S) and UniPC-1 without its corrector are DDIM, and so are second-order methods
    in their first step."""
    methods = sampler('ddim'), sampler('dpmpp_1s'), sampler('unipc', order=1, corrector=False)
    for grid in ('trailing', 'edm', 'flow'):
        first, *others = run(*methods, levels=GRIDS[grid](8))
        for other in others:
            np.testing.assert_allclose(other, first, atol=2e-5)


def test_a_flow_takes_the_steps_of_its_velocity():
    """x + (t' - t) v, and Heun's mean of two velocities, by numpy."""
    levels = GRIDS['flow'](8)
    x = start = np.asarray(prior(levels, SHAPE, KEYS))
    y, t = x, np.asarray(levels.sigma)

    def velocity(x, i):
        found = denoise(jnp.asarray(x), Level(*(v[i] for v in levels)))
        return np.asarray(found.noise - found.x0)

    for i in range(8):
        x = x + (t[i + 1] - t[i]) * velocity(x, i)
        v = velocity(y, i)
        if i < 7:
            v = (v + velocity(y + (t[i + 1] - t[i]) * v, i + 1)) / 2
        y = y + (t[i + 1] - t[i]) * v
    euler, heun = run(sampler('euler'), sampler('heun'), levels=levels, x=start)
    np.testing.assert_allclose(euler, x, atol=1e-5)
    np.testing.assert_allclose(heun, y, atol=1e-5)
    assert np.abs(x - y).max() > 0.01


# Algorithm 2 of Karras et al. 2022; without churn it is algorithm 1 with s = 1 and sigma = t


def published(sigma, x, draws, churn=0.0, low=0.0, high=np.inf, inflation=1.0):
    n = len(sigma) - 1

    def clean(x, sigma):
        level = Level(*(jnp.float32(v) for v in (1.0, sigma, np.log(sigma) / 4)))
        return np.asarray(denoise(jnp.asarray(x, jnp.float32), level).x0, np.float64)

    for i in range(n):
        gamma = min(churn / n, 2**0.5 - 1) if low <= sigma[i] <= high else 0.0
        up = sigma[i] * (1 + gamma)
        x = x + np.sqrt(up**2 - sigma[i] ** 2) * inflation * draws[i]
        slope = (x - clean(x, up)) / up
        new = x + (sigma[i + 1] - up) * slope
        if sigma[i + 1] > 0:
            other = (new - clean(new, sigma[i + 1])) / sigma[i + 1]
            new = x + (sigma[i + 1] - up) * (slope + other) / 2
        x = new
    return x


@pytest.mark.parametrize('churn', [0.0, 4.0, 30.0])
def test_heun_is_the_published_algorithm(churn):
    n, options = 12, {'low': 0.05, 'high': 50.0, 'inflation': 1.003}
    levels = GRIDS['edm'](n)
    x = prior(levels, SHAPE, stream(KEYS, 10**6))
    draws = [np.asarray(normal(stream(KEYS, 2 * i), SHAPE), np.float64) for i in range(n)]
    expected = published(np.float64(levels.sigma), np.float64(x), draws, churn, **options)
    method = sampler('heun', churn=churn / n, process=EDM, **options)
    np.testing.assert_allclose(run(method, levels=levels, x=x)[0], expected, atol=1e-4)


@pytest.mark.parametrize('process', [VP, ZERO, EDM, FLOW])
def test_louder_levels_are_of_the_same_process(process):
    t = jnp.int32(300) if process.steps else jnp.float32(0.37)
    level = process.level(t)
    found = louder(process, level, jnp.float32(1.3))
    ratio = float(level.sigma / level.alpha)
    np.testing.assert_allclose(found.sigma / found.alpha, 1.3 * ratio, rtol=1e-4)
    assert found.time > level.time
    for same, old in zip(louder(process, level, jnp.float32(1.0)), level, strict=True):
        assert same == old
    top = process.level(process.top)
    np.testing.assert_allclose(louder(process, top, jnp.float32(1.4)).sigma, top.sigma, rtol=1e-5)


# Inversion


@pytest.mark.parametrize('grid', ['trailing', 'leading', 'edm', 'flow', 'zero snr'])
def test_inversion_returns(grid):
    levels = GRIDS[grid](30)
    image = jnp.clip(normal(KEYS, SHAPE), -1, 1)
    noise = jax.jit(lambda x: invert(denoise, levels, x))(image)
    back = run(sampler('ddim'), levels=levels, x=noise)[0]
    assert np.abs(back - image).max() < 1e-2
    rough = jax.jit(lambda x: invert(denoise, levels, x, iterations=1))(image)
    assert np.abs(rough - noise).max() > 1e-3  # what the iterations are for


def test_unipcs_functions():
    """phi_k(z) = integral of e^((1-u) z) u^(k-1) / (k-1)! over [0, 1]."""
    u, weights = np.polynomial.legendre.leggauss(64)
    u, weights = (u + 1) / 2, weights / 2
    for z in (-20.0, -3.0, -1.001, -0.999, -0.1, -1e-4, 0.5):
        powers = [u**k / np.prod(np.arange(1, k + 1)) for k in range(4)]
        exact = [(weights * np.exp((1 - u) * z) * power).sum() for power in powers]
        np.testing.assert_allclose(phis(jnp.float32(z)), exact, rtol=2e-5)
