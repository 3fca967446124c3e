"""Langevin dynamics at falling levels of noise (Song & Ermon 2019; Song et al. 2021).

The score is -noise / sigma. Steps have a fixed length in units of sigma, so that no sample's step
depends on the batch.
"""

import jax
from jax import numpy as jnp

from jaxcv.diffusion.parameterization import Denoiser, Images
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers.ddpm import ddpm
from jaxcv.diffusion.sampling import Keys, Sampler, stream
from jaxcv.ops.noise import normal


def langevin(
    denoise: Denoiser, x: Images, level: Level, keys: Keys, steps: int, snr: float
) -> Images:
    """`steps` of x + e score + sqrt(2 e) z at one level, with e = 2 (snr sigma)^2 (Song et al.
    2021, algorithm 5 with the expected norms in place of those of the batch)."""
    size = 2 * jnp.square(snr * level.sigma)

    def one(x, index):
        drift = -size / level.sigma * denoise(x, level).noise
        return x + drift + jnp.sqrt(2 * size) * normal(stream(keys, index), x.shape[1:]), None

    return jax.lax.scan(one, x, jnp.arange(steps))[0]


def predictor_corrector(
    predictor: Sampler | None = None, steps: int = 1, snr: float = 0.16
) -> Sampler:
    """At every level `steps` of Langevin dynamics, then a step of another method: the corrector and
    the predictor of Song et al. 2021. By default the predictor is ancestral sampling."""
    predictor = ddpm() if predictor is None else predictor

    def step(denoise, x, memory, now, after, keys):
        x = langevin(denoise, x, now, stream(keys, 0), steps, snr)
        return predictor.step(denoise, x, memory, now, after, stream(keys, 1))

    return Sampler(predictor.start, step)


def annealed_langevin(steps: int = 10, snr: float = 0.16) -> Sampler:
    """Langevin dynamics alone: the noise that a level has too much is left for the next one's steps
    to remove. Into a clean level goes the predicted image."""

    def step(denoise, x, memory, now, after, keys):
        prediction = denoise(x, now)
        # Pure noise (alpha = 0) has no image to be rescaled.
        some = now.alpha > 0
        kept = jnp.where(some, after.alpha / jnp.where(some, now.alpha, 1.0), 1.0) * x
        return jnp.where(after.sigma > 0, kept, prediction.x0), memory, prediction

    return predictor_corrector(Sampler(lambda x: (), step), steps, snr)
