"""The codebook that is a moving average of the vectors it stood for (van den Oord et al., 2017,
appendix A.1), as in Sonnet."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.tokens import codebook as codebooks
from jaxcv.tokens.nearest import nearest
from jaxcv.tokens.quantized import Quantized, Quantizer
from jaxcv.tokens.rotation import normalized, passed


class Averages(NamedTuple):
    """Exponential moving averages from 0, with the weight that they have gathered."""

    codebook: Float[Array, 'k d']
    counts: Float[Array, 'k']  # of vectors of each code in a batch
    sums: Float[Array, 'k d']  # of these vectors
    weight: Float[Array, '']  # 1 - decay^t


@dataclass(frozen=True)
class EMA(Quantizer):
    """The nearest code e; the loss of a vector is the commitment beta ||z - sg(e)||^2.

    With N_k and S_k the moving averages, debiased, of how many vectors had the code k and of their
    sum, and N the sum of all N_k, the code becomes S_k / n_k after every batch, where

        n_k = (N_k + epsilon) / (N + K epsilon) N        (Laplace smoothing).

    A code that no vector has had goes to 0 with the first batch, unless it is revived. The other
    fields are those of `VQ`: k-means sets the codebook before the first batch; a revived code is a
    vector of the batch, with the count of the average code and the sum to match.
    """

    codes: int = 512
    beta: float = 0.25
    decay: float = 0.99
    epsilon: float = 1e-5
    cosine: bool = False
    rotation: bool = False
    kmeans: int = 0
    revive: float = 0.0

    def init(self, key, width):
        zeros = jnp.zeros((self.codes, width))
        codebook = codebooks.small(key, self.codes, width)
        codebook = normalized(codebook) if self.cosine else codebook
        return {}, Averages(codebook, jnp.zeros(self.codes), zeros, jnp.zeros(()))

    def __call__(self, params, state, z, keys=None):
        x = z.astype(jnp.float32)
        x = normalized(x) if self.cosine else x
        fixed = jax.lax.stop_gradient(x)
        if keys is not None:
            state = self.opened(state, fixed, keys)
        codes = nearest(fixed, state.codebook)
        e = state.codebook[codes]
        commitment = jnp.square(x - e).mean(range(1, z.ndim))
        values = passed(e, x, self.rotation).astype(z.dtype)
        if keys is not None:
            state = self.followed(state, fixed, codes, keys)
        return Quantized(values, codes, self.beta * commitment), state

    def lookup(self, params, state, codes):
        return state.codebook[codes]

    def opened(self, state, vectors, keys) -> Averages:
        """Before the first batch."""
        if not self.kmeans:
            return state

        def begin():
            centers = codebooks.kmeans(vectors, keys, self.codes, self.kmeans)
            return normalized(centers) if self.cosine else centers

        codebook = jax.lax.cond(state.weight == 0, begin, lambda: state.codebook)
        return state._replace(codebook=codebook)

    def followed(self, state, vectors, codes, keys) -> Averages:
        """After a batch."""
        counts, sums = codebooks.statistics(vectors, codes, self.codes)
        counts = self.mixed(state.counts, counts)
        sums = self.mixed(state.sums, sums)
        weight = self.mixed(state.weight, 1.0)
        total = counts.sum() / weight
        smoothed = (counts / weight + self.epsilon) / (total + self.codes * self.epsilon) * total
        codebook = sums / weight / smoothed[:, None]
        codebook = normalized(codebook) if self.cosine else codebook
        if self.revive:
            dead = codebooks.dead(counts, self.revive)
            fresh = codebooks.pick(vectors, keys, self.codes)
            counts = jnp.where(dead, counts.mean(), counts)
            sums = jnp.where(dead[:, None], counts[:, None] * fresh, sums)
            codebook = jnp.where(dead[:, None], fresh, codebook)
        return Averages(codebook, counts, sums, weight)

    def mixed(self, old, new):
        return self.decay * old + (1 - self.decay) * new
