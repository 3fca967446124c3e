"""Pictures out of parameters: process, network, guidance and sampler put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Int, PyTree

from jaxcv.diffusion import editing, samplers, spacing
from jaxcv.diffusion.guidance import ALWAYS, classifier_free, conditioned
from jaxcv.diffusion.networks import Condition
from jaxcv.diffusion.parameterization import Denoiser, Images, clipped
from jaxcv.diffusion.process import Process
from jaxcv.diffusion.sampling import Keys, prior, sample, stream
from jaxcv.errors import UserError


@dataclass(frozen=True)
class Drawing:
    """How pictures are drawn."""

    name: str = 'ddim'
    fields: Mapping[str, Any] = field(default_factory=dict)  # of the sampler
    steps: int = 50
    spacing: str = 'trailing'
    guidance: float = 1.0  # 1: none
    interval: tuple[float, float] = ALWAYS  # sigma / alpha at which to guide
    rescale: float = 0.0
    clip: bool = True  # predicted pictures to [-1, 1]
    count: int = 0  # pictures to judge; 0: as many as there are to learn from


class Draw(NamedTuple):
    """sample  (params, labels [b], keys [b], scale, **callbacks) -> (x, what was watched)
    invert  (params, labels [b], x0) -> (the noise that becomes x0, what it becomes)
    """

    sample: Callable[..., tuple[Images, PyTree]]
    invert: Callable[[PyTree, Int[Array, 'b'], Images], tuple[Images, Images]]


def drawing(
    how: Drawing,
    process: Process,
    denoiser: Callable[[PyTree], Callable],
    shape: tuple[int, ...],
    null: int | None,
) -> Draw:
    """denoiser: params -> a conditional denoiser; shape: of one x; null: the number of the null
    class, or None without classes."""
    if how.guidance != 1 and null is None:
        raise UserError(
            f'the guidance is {how.guidance}, but the network knows no classes to guide by: train'
            ' it with labels (config.objective.labels), or set the guidance to 1'
        )
    levels = spacing.levels(how.spacing, process, how.steps)
    sampler = samplers.sampler(how.name, **how.fields)

    def guided(params, labels, scale) -> Denoiser:
        denoise = denoiser(params)
        own = Condition() if null is None else Condition(label=labels)
        if isinstance(scale, int | float) and scale == 1:
            found = conditioned(denoise, own)
        else:
            none = Condition(label=jnp.full_like(labels, null))
            found = classifier_free(
                denoise, own, none, scale, interval=how.interval, rescale=how.rescale
            )
        return clipped(found) if how.clip else found

    def drawn(params, labels, keys: Keys, scale=how.guidance, **callbacks):
        x = prior(levels, shape, stream(keys, editing.START))
        return sample(sampler, guided(params, labels, scale), levels, x, keys, **callbacks)

    def inverted(params, labels, x0):
        # Without guidance, which no inversion follows.
        denoise, keys = guided(params, labels, 1), jax.random.split(jax.random.key(0), len(x0))
        noise = samplers.invert(denoise, levels, x0)
        return noise, sample(samplers.sampler('ddim'), denoise, levels, noise, keys)[0]

    return Draw(drawn, inverted)
