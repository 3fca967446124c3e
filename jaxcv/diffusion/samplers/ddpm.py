"""Ancestral sampling (Ho et al. 2020, algorithm 2), on any grid of levels."""

from jax import numpy as jnp

from jaxcv.diffusion.process import log_variance, posterior_mean, variances
from jaxcv.diffusion.sampling import Sampler
from jaxcv.ops.noise import normal


def ddpm(variance: str = 'small') -> Sampler:
    """x_after ~ N(posterior mean at the predicted x0, variance).

    variance: 'small' (of the posterior), 'large' (beta), or 'learned': between the two, pixel by
    pixel, as the network says (Nichol & Dhariwal 2021). No noise where the level after is clean.
    """

    def step(denoise, x, memory, now, after, keys):
        prediction = denoise(x, now)
        mean = posterior_mean(prediction.x0, x, now, after)
        log = log_variance(variance, *variances(now, after), prediction.spread)
        std = jnp.where(after.sigma > 0, jnp.exp(0.5 * log), 0.0)
        return mean + std * normal(keys, x.shape[1:]), memory, prediction

    return Sampler(lambda x: (), step)
