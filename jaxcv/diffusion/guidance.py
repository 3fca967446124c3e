"""Guidance: functions that make one denoiser out of others. Scale 1 is none, more pushes further.

A conditional denoiser takes (x, level, condition), and these give denoisers that take (x, level).
x0 and the noise of a given x are linear in one another, so mixing predictions mixes both.
"""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.diffusion.parameterization import Denoiser, Images, Prediction, replaced, sides
from jaxcv.diffusion.process import Level
from jaxcv.errors import UserError

Conditional = Callable[[Images, Level, PyTree], Prediction]
ALWAYS = (0.0, float('inf'))


def conditioned(denoise: Conditional, condition: PyTree) -> Denoiser:
    """The denoiser of one condition, without guidance."""
    return lambda x, level: denoise(x, level, condition)


def classifier_free(
    denoise: Conditional,
    condition: PyTree,
    null: PyTree,
    scale: float | Float[Array, ''],
    *,
    interval: tuple[float, float] = ALWAYS,
    rescale: float = 0.0,
) -> Denoiser:
    """u + scale (c - u) (Ho and Salimans 2022; their w is scale - 1), c with the condition and u
    without it, in one call of twice the batch.

    null: the condition that training put in place of dropped ones, shaped like `condition`.
    interval: noise levels sigma / alpha at which to guide (Kynkaanniemi et al. 2024); at the others
    the condition alone counts, and the other half of the work is not done.
    rescale: how far, 0 to 1, to bring the spread of the clean image back to the unguided one (Lin
    et al. 2023, section 3.4, with the clean image as the output).
    """
    if null is None:
        raise UserError(
            'classifier-free guidance needs a null condition: train with dropped labels'
            ' (config.objective.drop), or set the scale of the guidance to 1'
        )
    both = jax.tree.map(lambda c, u: jnp.concatenate([c, u]), condition, null)

    def guided(x, level):
        found = denoise(jnp.concatenate([x, x]), level, both)
        own, free = (jax.tree.map(lambda p, i=i: jnp.split(p, 2)[i], found) for i in (0, 1))
        found = extrapolated(free, own, scale)
        if not rescale:
            return found
        return replaced(found, rescaled(found.x0, own.x0, rescale), level)

    return within(interval, guided, conditioned(denoise, condition))


def autoguidance(
    strong: Denoiser, weak: Denoiser, scale: float, *, interval: tuple[float, float] = ALWAYS
) -> Denoiser:
    """w + scale (s - w): away from what a weaker version of the denoiser errs towards (Karras et
    al. 2024). Both know the condition."""

    def guided(x, level):
        return extrapolated(weak(x, level), strong(x, level), scale)

    return within(interval, guided, strong)


def extrapolated(start: Prediction, end: Prediction, scale: float) -> Prediction:
    """start + scale (end - start), with the variance of `end`."""
    x0 = start.x0 + scale * (end.x0 - start.x0)
    return Prediction(x0, start.noise + scale * (end.noise - start.noise), end.spread)


def classifier(
    denoise: Denoiser,
    log_prob: Callable[[Images, Level], Float[Array, 'b']],
    scale: float,
) -> Denoiser:
    """noise - scale sigma grad log p(y | x) (Dhariwal and Nichol 2021, algorithm 2), with a
    classifier that knows noisy images. Here scale 0 is none: the denoiser may be conditional
    itself."""

    def guided(x, level):
        own, (alpha, sigma) = denoise(x, level), sides(level, x)
        uphill = scale * sigma * jax.grad(lambda x: log_prob(x, level).sum())(x)
        return own._replace(x0=own.x0 + sigma / alpha * uphill, noise=own.noise - uphill)

    return guided


def within(interval: tuple[float, float], inside: Denoiser, outside: Denoiser) -> Denoiser:
    """`inside` at noise levels sigma / alpha in (low, high], `outside` elsewhere."""
    low, high = interval
    if (low, high) == ALWAYS:
        return inside

    def chosen(x, level):
        # Without a division: alpha may be 0.
        here = (level.sigma > low * level.alpha) & (level.sigma <= high * level.alpha)
        return jax.lax.cond(here, inside, outside, x, level)

    return chosen


def rescaled(mixed: Images, own: Images, amount: float) -> Images:
    """`mixed` with the standard deviation of `own`, per sample, as far as `amount` says."""
    axes = tuple(range(1, mixed.ndim))
    ratio = own.std(axes, keepdims=True) / jnp.maximum(mixed.std(axes, keepdims=True), 1e-12)
    return mixed * (1 + amount * (ratio - 1))
