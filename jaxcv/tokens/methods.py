"""Priors by name, each as functions of parameters: what an experiment needs of a method.

prior = method('maskgit', stage, Terms(num_classes=6), model={'width': 128}, drawing={})
params = prior.init(key)
nats = prior.loss(params, codes, told, keys, train=True)
codes, when = prior.sample(params, told, keys)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.errors import UserError, choose, construct
from jaxcv.tokens import autoregressive, halton, maskgit, pixelcnn, var
from jaxcv.tokens import schedule as schedule_of_masks
from jaxcv.tokens.multiscale import Multiscale
from jaxcv.tokens.pick import Pick
from jaxcv.tokens.positions import Grids
from jaxcv.tokens.sampled import Sampled
from jaxcv.tokens.stage import TokenStage
from jaxcv.tokens.told import Told
from jaxcv.tokens.transformer import Transformer


class Terms(NamedTuple):
    """The terms in which a prior is told what to draw."""

    num_classes: int | None = None
    words: int | None = None  # size of the vocabulary of texts
    text_length: int = 0

    def nothing(self, batch: int) -> Told:
        """The null of each."""
        return Told(
            None if self.num_classes is None else jnp.full(batch, self.num_classes),
            None if self.words is None else jnp.zeros((batch, self.text_length), int),
        )


class Method(NamedTuple):
    """init    key -> params
    loss    (params, codes [b n], told, keys [b], train) -> nats per code [b]
    sample  (params, told, keys [b], guidance, **edit) -> Sampled; guidance: if not the config's.
    edits   what `edit` may be: 'prefix' (given [b m], the first m codes), 'places' (given and
            known [b n]) or ''
    """

    init: Callable[[Key[Array, '']], PyTree]
    loss: Callable[..., Float[Array, 'b']]
    sample: Callable[..., Sampled]
    edits: str


@dataclass(frozen=True)
class Drawing:
    """How codes are drawn."""

    guidance: float = 1.0
    temperature: float = 1.0
    top_k: int = 0  # 0: all
    top_p: float = 1.0

    @property
    def pick(self) -> Pick:
        top_p = None if self.top_p == 1 else self.top_p
        return Pick(self.temperature, self.top_k or None, top_p)


@dataclass(frozen=True)
class Parallel(Drawing):
    """MaskGIT's."""

    steps: int = 8
    schedule: str = 'cosine'
    noise: float = 4.5
    ramped: bool = False
    order: str = 'confidence'  # or 'halton'


@dataclass(frozen=True)
class Scaled(Drawing):
    """VAR's."""

    ramped: bool = True


def sequential(
    stage: TokenStage, terms: Terms, model: Mapping, how: Mapping, text_weight: float = 0.0
) -> Method:
    how = construct(Drawing, how, 'config.sampler')
    trunk = transformer(stage, terms, model, (stage.grid,))
    module = autoregressive.Autoregressive(stage.vocabulary, trunk)

    def loss(params, codes, told, keys, train):
        keys = keys if train else None
        weight = text_weight if train else 0.0
        return autoregressive.loss(applied(module, params), codes, told, keys, weight)

    draw = partial(autoregressive.sample, module)
    example = jnp.zeros((1, stage.length), int), terms.nothing(1)
    return Method(initial(module, *example), loss, sampler(draw, how), 'prefix')


def convolutional(stage: TokenStage, terms: Terms, model: Mapping, how: Mapping) -> Method:
    if terms.words is not None:
        raise UserError('pixelcnn is told no texts: choose another method, or tell it labels')
    if len(stage.grid) != 2:
        raise UserError(f'pixelcnn needs a grid of codes, but the tokenizer gives {stage.grid}')
    how = construct(Drawing, how, 'config.sampler')
    build = partial(pixelcnn.PixelCNN, stage.vocabulary, stage.grid, num_classes=terms.num_classes)
    module = construct(build, model, 'config.model')

    def loss(params, codes, told, keys, train):
        return pixelcnn.loss(applied(module, params), codes, told, keys if train else None)

    draw = partial(pixelcnn.sample, module)
    example = jnp.zeros((1, stage.length), int), terms.nothing(1)
    return Method(initial(module, *example), loss, sampler(draw, how), 'prefix')


def masked(
    stage: TokenStage,
    terms: Terms,
    model: Mapping,
    how: Mapping,
    schedule: str = 'cosine',
    smoothing: float = 0.1,
) -> Method:
    how = construct(Parallel, how, 'config.sampler')
    module = maskgit.MaskGIT(stage.vocabulary, transformer(stage, terms, model, (stage.grid,)))
    choose(how.order, ('confidence', 'halton'), 'config.sampler.order')
    schedule_of_masks.check(how.steps, stage.length)

    def loss(params, codes, told, keys, train):
        return maskgit.loss(
            applied(module, params),
            codes,
            told,
            keys,
            schedule=schedule,
            smoothing=smoothing if train else 0.0,
            train=train,
        )

    draw = partial(
        maskgit.sample,
        module,
        steps=how.steps,
        schedule=how.schedule,
        noise=how.noise,
        ramped=how.ramped,
        order=jnp.asarray(halton.order(*stage.grid)) if how.order == 'halton' else None,
    )
    codes = jnp.zeros((1, stage.length), int)
    example = codes, codes == 0, terms.nothing(1)
    return Method(initial(module, *example), loss, sampler(draw, how), 'places')


def scaled(stage: TokenStage, terms: Terms, model: Mapping, how: Mapping) -> Method:
    if not isinstance(stage.quantizer, Multiscale):
        name = type(stage.quantizer).__name__
        raise UserError(
            f'var predicts scales, but the quantizer of the tokenizer is {name}: '
            'train one with config.quantizer.name multiscale'
        )
    how = construct(Scaled, how, 'config.sampler')
    scales = stage.quantizer.scales
    trunk = transformer(stage, terms, model, tuple((side, side) for side in scales))
    module = var.VAR(stage.vocabulary, scales, trunk)
    inputs = partial(stage.quantizer.inputs, *stage.learned)

    def loss(params, codes, told, keys, train):
        keys = keys if train else None
        return var.loss(applied(module, params), codes, told, keys, inputs)

    pyramid = var.pyramid(stage.quantizer, *stage.learned)
    draw = partial(var.sample, module, pyramid=pyramid, ramped=how.ramped)
    features = jax.eval_shape(inputs, jax.ShapeDtypeStruct((1, stage.length), jnp.int32))
    example = jnp.zeros(features.shape), terms.nothing(1)
    return Method(initial(module, *example), loss, sampler(draw, how), '')


METHODS = {
    'autoregressive': sequential,
    'pixelcnn': convolutional,
    'maskgit': masked,
    'var': scaled,
}


def method(
    name: str, stage: TokenStage, terms: Terms, model: Mapping, drawing: Mapping, **fields: Any
) -> Method:
    """By name. model: fields of its network; drawing: of how it draws; fields: of its loss."""
    build = METHODS[choose(name, METHODS, 'config.method.name')]
    build = partial(build, stage, terms, model, drawing)
    return construct(build, fields, 'config.method')


def transformer(stage: TokenStage, terms: Terms, model: Mapping, grids: Grids) -> Transformer:
    build = partial(Transformer, stage.length, grids=grids, **terms._asdict())
    return construct(build, model, 'config.model')


def initial(module: linen.Module, *example: Any) -> Callable[[Key[Array, '']], PyTree]:
    return lambda key: module.init(key, *example)['params']


def applied(module: linen.Module, params: PyTree) -> Callable[..., Any]:
    return partial(module.apply, {'params': params})


def sampler(draw: Callable[..., Sampled], how: Drawing) -> Callable[..., Sampled]:
    def sample(params, told, keys, guidance=None, **edit):
        scale = how.guidance if guidance is None else guidance
        return draw({'params': params}, told, keys, pick=how.pick, guidance=scale, **edit)

    return sample
