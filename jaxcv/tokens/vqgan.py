"""Reconstructions that a discriminator keeps sharp (VQGAN, Esser et al., 2021): a game for
`jaxcv.train.players`, of autoencoders of codes and of latents.

The autoencoder minimizes

    L + weight * lambda * adversarial,      lambda = |dL / dlast| / (|dadversarial / dlast| + 1e-4)

where L is the loss that it has alone and `last` the kernel of the decoder's last layer (eq. 7).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.tokens.adversarial import adaptive_weight, adversary, lazily, r1, started
from jaxcv.train.players import Game

Images = Float[Array, 'b h w c']


@dataclass(frozen=True)
class Sharpening:
    """How much the discriminator has to say."""

    weight: float = 0.1  # of the adversarial term
    adaptive: bool = True  # times lambda
    loss: str = 'hinge'  # or 'non_saturating'
    start: int = 0  # the step from which on both play
    r1: float = 0.0  # gamma of the penalty on the discriminator's gradient at real images
    every: int = 16  # steps between two penalties
    lr: float = 2e-4  # of the discriminator


class Made(NamedTuple):
    """What the autoencoder makes of a batch."""

    images: Images
    output: Images
    found: Any  # the second output of its module
    before: Float[Array, 'b ...']  # what enters the last layer of the decoder


def game(
    make: Callable[[PyTree, PyTree, PyTree, Key[Array, 'b']], tuple[Made, PyTree]],
    alone: Callable[[Made], tuple[Float[Array, ''], dict]],
    layer: Callable[[PyTree, Array, Array], Images],
    kernel: Callable[[PyTree], Array],
    discriminate: Callable[[PyTree, Images], Float[Array, 'b *s']],
    how: Sharpening,
) -> Game:
    """alone: the loss without a discriminator, and metrics. layer: (params, kernel, what enters) ->
    images, the last layer; kernel: params -> its own. discriminate: (params, images) -> logits."""
    sides = adversary(how.loss)

    def generator(params, made, batch, keys, rival, step):
        def judged(output):
            return sides.generator(discriminate(rival.params, output)).mean()

        term, pull = jax.vjp(judged, made.output)
        slope = jax.lax.stop_gradient(pull(jnp.ones_like(term))[0])
        loss, metrics = alone(made)
        weight = how.weight * started(step, how.start)
        if how.adaptive:
            own = jax.grad(lambda output: alone(made._replace(output=output))[0])(made.output)
            weight = weight * balance(own, slope, partial(layer, params), kernel(params), made)
        # Linear in the output, with the gradient of the term: the discriminator runs once.
        linear = (slope * made.output).sum()
        loss = loss + weight * (linear + jax.lax.stop_gradient(term - linear))
        return loss, metrics | {'adversarial': term, 'weight': weight}

    def discriminator(params, aux, made, batch, keys, step):
        judge = partial(discriminate, params)
        real, fake = judge(made.images), judge(made.output)
        loss = sides.discriminator(real, fake).mean()
        if how.r1:
            penalty = partial(r1, judge, made.images)
            loss = loss + how.r1 * lazily(penalty, step, how.every).mean()
        metrics = {'real': real.mean(), 'fake': fake.mean()}
        return started(step, how.start) * loss, aux, metrics

    return Game(make, generator, discriminator)


def balance(own, slope, layer, kernel, made):
    """lambda, from the gradients of both terms at the output."""
    before = jax.lax.stop_gradient(made.before)

    def along(gradient):
        return lambda kernel: (gradient * layer(kernel, before)).sum()

    return adaptive_weight(along(jax.lax.stop_gradient(own)), along(slope), kernel)
