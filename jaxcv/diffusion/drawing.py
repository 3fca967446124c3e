"""Pictures out of parameters: process, network, guidance and sampler put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.diffusion import editing, masks, samplers, spacing
from jaxcv.diffusion.guidance import (
    ALWAYS,
    Conditional,
    autoguidance,
    classifier,
    classifier_free,
    conditioned,
)
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
    guidance: float = 1.0  # away from no class, or from the weaker network; 1: none
    classifier: float = 0.0  # scale of the classifier's gradient; 0: none
    interval: tuple[float, float] = ALWAYS  # sigma / alpha at which to guide
    rescale: float = 0.0
    clip: bool = True  # predicted pictures to [-1, 1]
    count: int = 0  # pictures to judge; 0: as many as there are to learn from
    scales: tuple[float, ...] = ()  # of the guidance, whose scores are shown beside one another


class Guides(NamedTuple):
    """Other trained networks that guide this one."""

    weak: Conditional | None = None  # a weaker one, for autoguidance
    log_prob: Callable[..., Float[Array, 'b']] | None = None  # (x, level, labels), a classifier's


ALONE = Guides()


class Draw(NamedTuple):
    """sample   (params, labels [b], keys [b], scale, known, **callbacks) -> (x, what was watched)
    invert   (params, labels [b], x0, known) -> the noise that becomes x0
    restore  (params, labels [b], noise, known) -> what noise becomes, without guidance or chance

    known: what a network that fills in is told (`masks.known`), by default nothing.
    """

    sample: Callable[..., tuple[Images, PyTree]]
    invert: Callable[..., Images]
    restore: Callable[..., Images]


def drawing(
    how: Drawing,
    process: Process,
    denoiser: Callable[[PyTree], Callable],
    shape: tuple[int, ...],
    null: int | None,
    fills: bool = False,
    guides: Guides = ALONE,
) -> Draw:
    """denoiser: params -> a conditional denoiser; shape: of one x; null: the number of the null
    class, or None without classes; fills: whether the network is told a part of the picture."""
    check(how, null, guides)
    levels = spacing.levels(how.spacing, process, how.steps)
    sampler = samplers.sampler(how.name, **how.fields)

    def condition(labels, known):
        if fills and known is None:
            known = masks.nothing((len(labels), *shape))
        return Condition(label=None if null is None else labels, image=known)

    def guided(params, labels, scale, known) -> Denoiser:
        denoise, own = denoiser(params), condition(labels, known)
        alone = conditioned(denoise, own)
        if isinstance(scale, int | float) and scale == 1:
            found = alone
        elif guides.weak:
            found = autoguidance(alone, conditioned(guides.weak, own), scale, interval=how.interval)
        else:
            none = own._replace(label=jnp.full_like(labels, null))
            found = classifier_free(
                denoise, own, none, scale, interval=how.interval, rescale=how.rescale
            )
        if not how.classifier:
            return found
        return classifier(found, partial(guides.log_prob, labels=labels), how.classifier)

    def bounded(denoise: Denoiser) -> Denoiser:
        return clipped(denoise) if how.clip else denoise

    def drawn(params, labels, keys: Keys, scale=None, known=None, **callbacks):
        scale = how.guidance if scale is None else scale
        x = prior(levels, shape, stream(keys, editing.START))
        denoise = bounded(guided(params, labels, scale, known))
        return sample(sampler, denoise, levels, x, keys, **callbacks)

    def unguided(params, labels, known) -> Denoiser:
        return bounded(conditioned(denoiser(params), condition(labels, known)))

    def inverted(params, labels, x0, known=None):
        return samplers.invert(unguided(params, labels, known), levels, x0)

    def restored(params, labels, noise, known=None):
        keys = jax.random.split(jax.random.key(0), len(noise))
        denoise = unguided(params, labels, known)
        return sample(samplers.sampler('ddim'), denoise, levels, noise, keys)[0]

    return Draw(drawn, inverted, restored)


def check(how: Drawing, null: int | None, guides: Guides) -> None:
    """Guidance needs something to guide by."""
    if how.guidance != 1 and null is None and guides.weak is None:
        raise UserError(
            f'the guidance is {how.guidance}, but the network knows no classes to guide by: train'
            ' it with labels (config.objective.labels), or set the guidance to 1'
        )
    if how.classifier and guides.log_prob is None:
        raise UserError(
            f'the scale of the classifier is {how.classifier}, but there is none: name a config'
            ' that trains one in config.needs.classifier, or set the scale to 0'
        )
