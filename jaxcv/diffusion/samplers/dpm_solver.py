"""DPM-Solver++ (Lu et al. 2022): exponential integrators for the predicted image.

In l = log(alpha/sigma) the ODE's solution is sigma'/sigma x + alpha' (1 - e^-h) x0 for a constant
x0 over a step h; that is DDIM. Methods of second order put in place of x0 its value in the middle
of the step, by extrapolation. The SDE has the same form with the posterior's noise.
"""

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.diffusion.parameterization import Images
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers.ddim import ddim, moved, posterior_std
from jaxcv.diffusion.sampling import Keys, Sampler

FLOOR = 1e-10  # keeps logarithms finite where alpha or sigma is 0


def log_ratio(level: Level) -> Float[Array, '*n']:
    """log(alpha/sigma), within +-23."""
    alpha, sigma = jnp.maximum(level.alpha, FLOOR), jnp.maximum(level.sigma, FLOOR)
    return jnp.log(alpha) - jnp.log(sigma)


def carried(
    x: Images, x0: Images, now: Level, after: Level, keys: Keys, std: Float[Array, ''] | float = 0.0
) -> Images:
    """x to another level if the image is x0, and everything else in x is noise."""
    return moved(x0, (x - now.alpha * x0) / now.sigma, after, keys, std)


def dpmpp_1s() -> Sampler:
    """First order. The same as DDIM."""
    return ddim()


def dpmpp_2m(eta: float = 0.0) -> Sampler:
    """Second order by the prediction of the step before (algorithm 2): one evaluation a step. First
    order in the first step and into a clean level.

    eta = 1: the SDE (2M-SDE); between 0 and 1 the noise of DDIM's eta."""

    def start(x):
        # An infinitely long step before the first: its prediction has no weight.
        return jnp.zeros_like(x), -jnp.inf

    def step(denoise, x, memory, now, after, keys):
        prediction, (before, place) = denoise(x, now), memory
        x0, here = prediction.x0, log_ratio(now)
        part = (log_ratio(after) - here) / (here - place) / 2
        weight = jnp.where(after.sigma > 0, part, 0.0)
        middle = x0 + weight * (x0 - before)
        new = carried(x, middle, now, after, keys, posterior_std(now, after, eta))
        return new, (x0, here), prediction

    return Sampler(start, step)


def dpmpp_2m_sde(eta: float = 1.0) -> Sampler:
    """`dpmpp_2m` for the SDE."""
    return dpmpp_2m(eta)


def dpmpp_2s() -> Sampler:
    """Second order by the prediction in the middle (algorithm 1), with the levels in pairs: the
    first of two steps goes to the middle by first order, the second begins again from where the
    first began. First order into a clean level."""

    def start(x):
        zero = jnp.zeros((), x.dtype)
        return jnp.bool_(False), x, jnp.zeros_like(x), Level(zero, zero + 1, zero)

    def step(denoise, x, memory, now, after, keys):
        (second, origin, before, first), prediction = memory, denoise(x, now)
        x0 = prediction.x0
        second &= after.sigma > 0
        begin = log_ratio(first)
        half = jnp.where(second, log_ratio(now) - begin, 1.0)
        part = (log_ratio(after) - begin) / half / 2
        whole = carried(origin, before + part * (x0 - before), first, after, keys)
        new = jnp.where(second, whole, moved(x0, prediction.noise, after, keys))
        return new, (~second, x, x0, now), prediction

    return Sampler(start, step)
