"""Errors of deterministic samplers where the solution is known: data N(0, 1/4), ideal denoiser."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules, spacing
from jaxcv.diffusion.parameterization import Prediction
from jaxcv.diffusion.samplers import sampler
from jaxcv.diffusion.sampling import sample

EDM, FLOW = schedules.edm(), schedules.flow()
DATA = 0.25  # variance


def ideal(x, level):
    variance = level.alpha**2 * DATA + level.sigma**2
    return Prediction(level.alpha * DATA / variance * x, level.sigma / variance * x)


def error(method, levels):
    """Relative error of the last state: the ODE keeps x in proportion to its standard deviation."""
    deviation = np.sqrt(np.square(levels.alpha) * DATA + np.square(levels.sigma))
    x = jnp.full((1, 1), deviation[0])
    found = sample(method, ideal, levels, x, jax.random.split(jax.random.key(0), 1))[0]
    return abs(float(found[0, 0]) / deviation[-1] - 1)


def order(method, grid):
    """Slope of log error against log step, over four numbers of steps."""
    counts = np.array([9, 18, 36, 72])
    errors = [error(method, grid(n)) for n in counts]
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


def karras(n):
    return spacing.edm(EDM, n)


@pytest.mark.parametrize(
    'name,bound',
    [('euler', 0.16), ('heun', 0.06), ('dpmpp_2m', 0.065), ('unipc', 0.05), ('pndm', 0.025)],
)
def test_errors_at_18_levels(name, bound):
    assert error(sampler(name), karras(18)) < bound


def test_orders_of_convergence():
    assert order(sampler('euler'), karras) == pytest.approx(1, abs=0.2)
    assert order(sampler('heun'), karras) == pytest.approx(2, abs=0.2)
    assert order(sampler('dpmpp_2m'), karras) == pytest.approx(2, abs=0.2)


def test_orders_on_a_flow():
    def grid(n):
        return spacing.flow(FLOW, n)

    assert order(sampler('euler'), grid) == pytest.approx(1, abs=0.2)
    assert order(sampler('heun'), grid) == pytest.approx(2, abs=0.2)


def test_higher_orders():
    assert order(sampler('unipc', order=2), karras) > 2.5
    assert order(sampler('unipc', order=3), karras) > 3.5
    assert order(sampler('lms', order=4), karras) > 2.7
