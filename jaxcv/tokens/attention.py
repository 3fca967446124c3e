"""Attention of tokens to those of their own level and of lower ones, whole or with a cache."""

from typing import NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.errors import UserError
from jaxcv.nn import attention as whole
from jaxcv.nn.cached import HIDDEN, heads_first
from jaxcv.nn.dense import Dense
from jaxcv.tokens.positions import turned

INIT = linen.initializers.xavier_uniform()


class Memory(NamedTuple):
    """Keys and values of the tokens seen so far, in a room for all."""

    key: Float[Array, 'b m h d']
    value: Float[Array, 'b m h d']


class Attention(linen.Module):
    """softmax(q k^T / sqrt(d)) v in several heads, then a linear layer, over all tokens or, with
    a memory, of the next few to those in memory and to themselves."""

    heads: int
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b n c'],
        seen: Bool[Array, 'n m'] | None = None,
        shown: Bool[Array, 'b m'] | None = None,
        angles: Float[Array, 'n k'] | None = None,
        memory: Memory | None = None,
        at: int | Int[Array, ''] = 0,
    ) -> tuple[Float[Array, 'b n c'], Memory | None]:
        """`seen` says which rows see which tokens, `shown` which tokens may be seen in a sample,
        `angles` by how much the queries and keys are `turned`.

        With a memory, x are the tokens from place `at` on, and m is the room of the memory, or
        where `at` is a plain integer, at + n: what has been written.
        """
        width = x.shape[-1]
        if width % self.heads:
            raise UserError(f'a width of {width} does not divide into {self.heads} heads')
        y = Dense(3 * width, kernel_init=INIT, dtype=self.dtype, name='qkv')(x)
        y = y.reshape(*x.shape[:-1], 3 * self.heads, -1)
        query, key, value = jnp.split(y, 3, axis=-2)
        if angles is not None:
            query, key = turned(query, angles), turned(key, angles)
        if memory is not None:
            memory = Memory(*(written(m, y, at) for m, y in zip(memory, (key, value), strict=True)))
            key, value = memory
            if isinstance(at, int):
                key, value = (m[:, : at + x.shape[1]] for m in memory)
        y = attend(query, key, value, seen, shown).reshape(x.shape)
        return Dense(width, kernel_init=INIT, dtype=self.dtype, name='out')(y), memory


def written(memory: Float[Array, 'b m h d'], new: Float[Array, 'b n h d'], at):
    return jax.lax.dynamic_update_slice_in_dim(memory, new.astype(memory.dtype), at, axis=1)


def empty(batch: int, room: int, heads: int, width: int, dtype) -> Memory:
    zeros = jnp.zeros((batch, room, heads, width // heads), dtype)
    return Memory(zeros, zeros)


def visible(levels: Int[np.ndarray, 'm'], at: int | Int[Array, ''], n: int) -> Bool[Array, 'n m']:
    """Whether each of the n tokens from place `at` on sees each other: those of its level and of
    lower ones. Levels 0, 1, 2 ... are causal, equal ones see one another, blocks of equal ones
    are causal by blocks."""
    if isinstance(at, int):
        return levels[at : at + n, None] >= levels[: at + n]
    rows = jax.lax.dynamic_slice_in_dim(jnp.asarray(levels), at, n)
    return rows[:, None] >= levels


def attend(
    query: Float[Array, 'b n h d'],
    key: Float[Array, 'b m h d'],
    value: Float[Array, 'b m h d'],
    seen: Bool[Array, 'n m'] | None = None,
    shown: Bool[Array, 'b m'] | None = None,
) -> Float[Array, 'b n h d']:
    """softmax(q k^T / sqrt(d)) v per head, over what is seen and shown."""
    if isinstance(seen, np.ndarray) and seen.all():
        seen = None
    if query.shape[1] == 1 and jax.default_backend() == 'cpu':
        return of_one(query, key, value, seen, shown)
    seen = None if seen is None else jnp.asarray(seen)
    return whole.attend(query, key, value, shown, seen=seen)


def of_one(query, key, value, seen, shown):
    """`attend` of a single token on a CPU."""
    batch, n, heads, d = query.shape
    q, k, v = (heads_first(x.astype(jnp.float32)) for x in (query, key, value))
    scores = jnp.einsum('bmd,bnd->bmn', k, q * d**-0.5)
    if seen is not None:
        scores = scores + jnp.where(seen.T, 0.0, HIDDEN)
    if shown is not None:
        scores = scores + jnp.repeat(jnp.where(shown, 0.0, HIDDEN), heads, axis=0)[:, :, None]
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(1, keepdims=True)))
    y = jnp.einsum('bmn,bmd->bdn', weights, v) / weights.sum(1)[:, None]
    return jnp.moveaxis(y.reshape(batch, heads, d, n), 3, 1).astype(value.dtype)
