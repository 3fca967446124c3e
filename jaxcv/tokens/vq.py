"""The codebook that learns by gradient (van den Oord et al., 2017)."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.ops import across
from jaxcv.tokens import codebook as codebooks
from jaxcv.tokens.nearest import nearest, rows
from jaxcv.tokens.quantized import Quantized, Quantizer
from jaxcv.tokens.rotation import normalized, passed

Codebook = Float[Array, 'k d']


class Usage(NamedTuple):
    """What a learned codebook knows of the batches so far, if k-means or revival need it."""

    counts: Float[Array, 'k']  # exponential moving average from 0
    started: Float[Array, '']  # 1 after the first batch
    shift: Codebook  # what k-means and revival add to the parameters


def unused(codes: int, width: int, kmeans: int, revive: float) -> Usage | None:
    if not kmeans and not revive:
        return None
    return Usage(jnp.zeros(codes), jnp.zeros(()), jnp.zeros((codes, width)))


def shifted(params: Codebook, usage: Usage | None) -> Codebook:
    """The codebook as it is used."""
    codebook = params.astype(jnp.float32)
    return codebook if usage is None else codebook + usage.shift


def opened(
    usage: Usage | None, params: Codebook, vectors: Float[Array, 'b *s d'], keys, iterations: int
) -> Usage | None:
    """Before the first batch: the codebook becomes its k-means (0 iterations: it stays)."""
    if not iterations:
        return usage

    def begin():
        return codebooks.kmeans(vectors, keys, len(params), iterations) - params

    return usage._replace(shift=jax.lax.cond(usage.started == 0, begin, lambda: usage.shift))


def followed(
    usage: Usage | None,
    params: Codebook,
    vectors: Float[Array, 'b *s d'],
    codes: Int[Array, 'b *s'],
    keys: Key[Array, 'b'],
    decay: float,
    revive: float,
) -> Usage | None:
    """After a batch: the counts, and codes that are hardly used put on vectors of the batch, as if
    they had been used as often as the average."""
    if usage is None:
        return None
    now = across.sum(codebooks.counts(codes, len(params)))
    counts, shift = decay * usage.counts + (1 - decay) * now, usage.shift
    if revive:
        dead = codebooks.dead(counts, revive)
        fresh = codebooks.pick(vectors, keys, len(params))
        shift = jnp.where(dead[:, None], fresh - params, shift)
        counts = jnp.where(dead, counts.mean(), counts)
    return Usage(counts, jnp.ones(()), shift)


@dataclass(frozen=True)
class VQ(Quantizer):
    """The nearest code e. The loss of a vector is ||sg(z) - e||^2 + beta ||z - sg(e)||^2; beta is
    on the commitment of z to its code. (The default of taming-transformers and of diffusers has it
    on the other term.)

    cosine: z and e are divided by their lengths first (Yu et al., 2022), and so are the values.
    rotation: the gradient of z is rotated (`jaxcv.tokens.rotation`), not passed straight through.
    kmeans: iterations of k-means on the first batch, whose centers are the first codebook.
    revive: a code that is used less than `revive` times as often as the average code, by averages
      with `decay`, is put on a random vector of the batch; 0: none is.

    What k-means and revival change is a shift of the parameters, kept in the state: so the
    optimizer needs to know nothing of it, and an average of the parameters stays one.
    """

    codes: int = 512
    beta: float = 0.25
    cosine: bool = False
    rotation: bool = False
    kmeans: int = 0
    revive: float = 0.0
    decay: float = 0.99

    def init(self, key, width):
        usage = unused(self.codes, width, self.kmeans, self.revive)
        return {'codebook': codebooks.small(key, self.codes, width)}, usage

    def codebook(self, params, state: Usage | None) -> Codebook:
        codebook = shifted(params['codebook'], state)
        return normalized(codebook) if self.cosine else codebook

    def __call__(self, params, state, z, keys=None):
        x = z.astype(jnp.float32)
        x = normalized(x) if self.cosine else x
        raw, fixed = jax.lax.stop_gradient((params['codebook'].astype(jnp.float32), x))
        if keys is not None:
            state = opened(state, raw, fixed, keys, self.kmeans)
        codebook = self.codebook(params, state)
        codes = nearest(x, codebook)
        e = rows(codebook, codes)
        axes = range(1, z.ndim)
        codebook_term = jnp.square(fixed - e).mean(axes)
        commitment = jnp.square(x - jax.lax.stop_gradient(e)).mean(axes)
        values = passed(e, x, self.rotation).astype(z.dtype)
        if keys is not None:
            state = followed(state, raw, fixed, codes, keys, self.decay, self.revive)
        return Quantized(values, codes, codebook_term + self.beta * commitment), state

    def lookup(self, params, state, codes):
        return self.codebook(params, state)[codes]
