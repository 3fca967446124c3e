"""DDIM (Song et al. 2021), which is also Euler's method, Euler ancestral, and a flow's Euler.

x_after = alpha' x0 + sqrt(sigma'^2 - s^2) noise + s z,    s = eta sqrt(posterior variance)

With eta = 0 it is Euler's method for dx = x0 dalpha + noise dsigma along the chord between two
levels: in sigma where alpha is 1 (EDM), in t for a flow. With eta = 1 it is DDPM with the small
variance, and in sigma "Euler ancestral".
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.diffusion.parameterization import Denoiser, Images
from jaxcv.diffusion.process import Level, variances
from jaxcv.diffusion.sampling import Keys, Sampler, ends
from jaxcv.ops.noise import normal


def moved(
    x0: Images, noise: Images, after: Level, keys: Keys, std: Float[Array, ''] | float = 0.0
) -> Images:
    """The image x0 with `noise` at another level, fresh noise of standard deviation `std` in place
    of a part of it. With std = 0 no random number is drawn."""
    if isinstance(std, float) and std == 0:
        return after.alpha * x0 + after.sigma * noise
    kept = jnp.sqrt(jnp.maximum(jnp.square(after.sigma) - jnp.square(std), 0.0))
    return after.alpha * x0 + kept * noise + std * normal(keys, x0.shape[1:])


def posterior_std(now: Level, after: Level, eta: float) -> Float[Array, ''] | float:
    """eta times the standard deviation of q(x_after | x_now, x0)."""
    return eta * jnp.sqrt(variances(now, after)[0]) if eta else 0.0


def ddim(eta: float = 0.0) -> Sampler:
    """eta: 0 is deterministic, 1 as random as DDPM (equations 12 and 16)."""

    def step(denoise, x, memory, now, after, keys):
        prediction = denoise(x, now)
        std = posterior_std(now, after, eta)
        return moved(prediction.x0, prediction.noise, after, keys, std), memory, prediction

    return Sampler(lambda x: (), step)


def euler_ancestral(eta: float = 1.0) -> Sampler:
    """The name under which DDIM with eta = 1 is known for EDM's levels."""
    return ddim(eta)


def invert(denoise: Denoiser, levels: Level, x: Images, iterations: int = 5) -> Images:
    """The noise from which deterministic DDIM makes x: along levels [n+1] from clean to noisy.

    Each step solves x_now = x_after + (alpha - alpha') x0(x_now) + (sigma - sigma') noise(x_now) by
    `iterations` evaluations of the denoiser: 1 is the usual inversion, more return to x."""

    def body(x, inputs):
        now, after = inputs

        def refine(guess, _):
            found = denoise(guess, now)
            rise = (now.alpha - after.alpha) * found.x0 + (now.sigma - after.sigma) * found.noise
            return x + rise, None

        return jax.lax.scan(refine, x, None, iterations)[0], None

    return jax.lax.scan(body, x, ends(levels), reverse=True)[0]
