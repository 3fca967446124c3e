"""What codebooks of every kind have in common: first values, statistics, the end of unused codes.

Statistics are sums over the vectors of the whole batch, and vectors are picked from it by their
place in it, so that every number of devices finds the same.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.data.permute import ROUNDS, permute
from jaxcv.ops import across
from jaxcv.tokens.nearest import nearest, sums

STREAM = 0x636F6465  # of the keys: nobody else's random numbers


def small(key: Key[Array, ''], codes: int, width: int) -> Float[Array, 'codes width']:
    """Rows within 1/codes of 0, as in the original: all of them are near what a fresh encoder
    gives."""
    return jax.random.uniform(key, (codes, width), minval=-1 / codes, maxval=1 / codes)


def counts(codes: Int[Array, '*s'], count: int) -> Float[Array, 'count']:
    """How often each of `count` codes occurs."""
    return jnp.zeros(count).at[codes.reshape(-1)].add(1.0)


def evenness(counts: Float[Array, 'k']) -> Float[Array, '']:
    """The perplexity exp(entropy) of codes that were used so often: 1 (one code) to k (evenly)."""
    return jnp.exp(jax.scipy.special.entr(counts / counts.sum()).sum())


def perplexity(codes: Int[Array, '*s'], count: int) -> Float[Array, '']:
    """`evenness` of the counts of codes."""
    return evenness(counts(codes, count))


def usage(counts: Float[Array, 'k']) -> Float[Array, '']:
    """The share of the codes that were used at all."""
    return (counts > 0).mean()


def statistics(
    vectors: Float[Array, 'b *s d'], codes: Int[Array, 'b *s'], count: int
) -> tuple[Float[Array, 'count'], Float[Array, 'count d']]:
    """(how many vectors, their sum) of each code, over all devices."""
    flat = vectors.reshape(-1, vectors.shape[-1])
    return across.sum((counts(codes, count), sums(flat, codes.reshape(-1), count)))


def dead(counts: Float[Array, 'k'], share: float) -> Bool[Array, 'k']:
    """Which codes occur less than `share` times as often as the average code."""
    return counts < share * counts.mean()


def pick(
    vectors: Float[Array, 'b *s d'], keys: Key[Array, 'b'], count: int
) -> Float[Array, 'count d']:
    """`count` random vectors of the batch of all devices: different ones, if there are so many."""
    vectors = vectors.reshape(len(vectors), -1, vectors.shape[-1])
    batch, length, _ = vectors.shape
    total = across.size() * batch * length
    rounds = jax.random.bits(shared(keys), (ROUNDS,))
    places = permute(jnp.arange(count) % total, total, jnp.broadcast_to(rounds, (count, ROUNDS)))
    sample = places // length - across.index() * batch
    here = (sample >= 0) & (sample < batch)
    found = vectors[jnp.where(here, sample, 0), places % length]
    return across.sum(jnp.where(here[:, None], found, 0.0))


def shared(keys: Key[Array, 'b']) -> Key[Array, '']:
    """One key for all devices, from that of the first sample."""
    return own(across.first_key(keys))


def own(key: Key[Array, '']) -> Key[Array, '']:
    """A key of the quantizer's, for what it draws."""
    return jax.random.fold_in(key, STREAM)


def kmeans(
    vectors: Float[Array, 'b *s d'], keys: Key[Array, 'b'], count: int, iterations: int = 10
) -> Float[Array, 'count d']:
    """`count` centers of the vectors of all devices by Lloyd's algorithm from random ones; a
    center that is nearest to none stays where it is."""

    def step(centers, _):
        number, total = statistics(vectors, nearest(vectors, centers), count)
        means = total / jnp.maximum(number, 1.0)[:, None]
        return jnp.where(number[:, None] > 0, means, centers), None

    return jax.lax.scan(step, pick(vectors, keys, count), None, iterations)[0]
