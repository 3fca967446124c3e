"""Heun's method with churn (Karras et al. 2022, algorithm 2), which is also flow matching's Heun.

The probability-flow ODE of every process is dx = x0(x) dalpha + noise(x) dsigma. The trapezoid rule
along the chord between two levels is EDM's where alpha is 1, and where alpha + sigma is 1 it is the
mean of a flow's two velocities.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.diffusion.parameterization import Images
from jaxcv.diffusion.process import Level, Process
from jaxcv.diffusion.samplers.ddim import moved
from jaxcv.diffusion.sampling import Keys, Sampler
from jaxcv.errors import UserError
from jaxcv.ops.noise import normal

LARGEST = 2**0.5 - 1  # churn never more than doubles the variance of the noise


def heun(
    churn: float = 0.0,
    low: float = 0.0,
    high: float = float('inf'),
    inflation: float = 1.0,
    process: Process | None = None,
) -> Sampler:
    """Two evaluations a step, one in the last.

    churn      part by which noise is raised before a step: the paper's S_churn / n, at most .414
    low, high  sigma/alpha between which it is raised: S_min and S_max
    inflation  standard deviation of the noise that raises it: S_noise
    process    whose levels they are; only churn needs it, to know what the network is told there
    """
    if churn and process is None:
        raise UserError('churn raises the noise to levels between the steps: give heun the process')

    def step(denoise, x, memory, now, after, keys):
        if churn:
            ratio = now.sigma / now.alpha
            inside = (ratio >= low) & (ratio <= high)
            amount = jnp.where(inside, min(churn, LARGEST), 0.0)
            to = louder(process, now, 1 + amount)
            x, now = raised(x, now, to, inflation, keys), to
        prediction = denoise(x, now)
        first = moved(prediction.x0, prediction.noise, after, keys)

        def corrected():
            second = denoise(first, after)
            x0, noise = (prediction.x0 + second.x0) / 2, (prediction.noise + second.noise) / 2
            return x + (after.alpha - now.alpha) * x0 + (after.sigma - now.sigma) * noise

        return jax.lax.cond(after.sigma > 0, corrected, lambda: first), memory, prediction

    return Sampler(lambda x: (), step)


def raised(x: Images, now: Level, to: Level, inflation: float, keys: Keys) -> Images:
    """x with noise added, at a noisier level."""
    some = now.alpha > 0  # pure noise stays as it is
    ratio = jnp.where(some, to.alpha / jnp.where(some, now.alpha, 1.0), 1.0)
    std = jnp.sqrt(jnp.maximum(jnp.square(to.sigma) - jnp.square(ratio * now.sigma), 0.0))
    return ratio * x + inflation * std * normal(keys, x.shape[1:])


def louder(process: Process, level: Level, factor: Float[Array, '']) -> Level:
    """The level of the process where sigma/alpha is `factor` times higher, or its noisiest. By
    bisection, so that it works for every process; a factor of 1 gives the level itself."""

    def angle(level):  # grows with sigma/alpha, and is finite where alpha is 0
        return jnp.arctan2(level.sigma, level.alpha)

    goal = jnp.arctan2(factor * level.sigma, level.alpha)

    def halve(_, bracket):
        below, above = bracket
        middle = (below + above) / 2
        less = angle(process.level(middle)) < goal
        return jnp.where(less, middle, below), jnp.where(less, above, middle)

    bottom = 0.0 if process.steps is None else -1.0
    bracket = jnp.float32(bottom), jnp.float32(process.top)
    found = process.level(jax.lax.fori_loop(0, 64, halve, bracket)[1])
    return jax.tree.map(lambda new, old: jnp.where(factor == 1, old, new), found, level)
