"""The transformer under every prior: of all tokens at once, or of the next few with a cache."""

from typing import NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.nn.regularize import Dropout
from jaxcv.nn.transformer import Mlp
from jaxcv.tokens import positions
from jaxcv.tokens.attention import Attention, Memory, empty, visible
from jaxcv.tokens.told import INIT, Prefix, Told


class Cache(NamedTuple):
    """What the next tokens need of those before them."""

    memories: tuple[Memory, ...]  # of every block
    shown: Bool[Array, 'b m'] | None  # places that are not padding of the text


class Transformer(linen.Module):
    """Tokens of what is told, then `length` tokens x, through blocks of attention and MLPs with
    the norm first (Vaswani et al., 2017; Radford et al., 2019), with learned positions. Where x is
    of grids, these begin as `positions.waves`, and attention sees how far apart places are.

    The methods differ in `levels` [prefix + length], one integer per place: a token sees those of
    its own level and of lower ones. None: every token sees all.
    """

    length: int
    width: int = 256
    depth: int = 6
    heads: int = 8
    mlp_width: int | None = None  # default: 4 * width
    dropout: float = 0.0
    num_classes: int | None = None
    words: int | None = None  # size of the vocabulary of texts, padding included
    text_length: int = 0
    grids: positions.Grids = ()  # of x, one after another
    remat: bool = False
    dtype: jnp.dtype | None = None

    def setup(self):
        self.told = Prefix(self.width, self.num_classes, self.words, self.text_length, self.dtype)
        begin = positions.initial(self.grids) if self.grids else INIT
        self.positions = self.param('positions', begin, (self.room, self.width))
        self.drop = Dropout(self.dropout)
        block = linen.remat(Block) if self.remat else Block
        fields = self.heads, self.mlp_width or 4 * self.width, self.dropout, self.dtype
        self.blocks = [block(*fields) for _ in range(self.depth)]
        self.norm = linen.LayerNorm(1e-5, dtype=self.dtype)

    @property
    def prefix(self) -> int:
        """Number of tokens before the first of x."""
        return 1 + (self.text_length if self.words else 0)

    @property
    def room(self) -> int:
        return self.prefix + self.length

    def __call__(
        self,
        x: Float[Array, 'b n d'],
        told: Told | None = None,
        levels: Int[np.ndarray, 'm'] | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b m d']:
        """Outputs for the prefix and for x, m in all. `keys` are there in training."""
        before, shown = self.told(told, len(x))
        y = jnp.concatenate([before, x.astype(before.dtype)], axis=1)
        if shown is not None:
            shown = jnp.pad(shown, ((0, 0), (0, x.shape[1])), constant_values=True)
        seen = None if levels is None else visible(levels, 0, y.shape[1])
        y = self.drop(y + self.positions[: y.shape[1]].astype(y.dtype), keys)
        angles = self.angles(0, y.shape[1])
        for block in self.blocks:
            y, _ = block(y, seen, shown, angles, keys=keys)
        return self.norm(y)

    def begin(
        self,
        x: Float[Array, 'b n d'],
        told: Told | None = None,
        levels: Int[np.ndarray, 'm'] | None = None,
    ) -> tuple[Float[Array, 'b p+n d'], Cache]:
        """`__call__`, and a cache with room for what follows. x may be of no tokens."""
        before, shown = self.told(told, len(x))
        y = jnp.concatenate([before, x.astype(before.dtype)], axis=1)
        if shown is not None:
            rest = self.room - shown.shape[1]
            shown = jnp.pad(shown, ((0, 0), (0, rest)), constant_values=True)
        memory = empty(len(x), self.room, self.heads, self.width, y.dtype)
        return self.onward(y, 0, Cache((memory,) * self.depth, shown), levels)

    def extend(
        self,
        x: Float[Array, 'b n d'],
        at: int | Int[Array, ''],
        cache: Cache,
        levels: Int[np.ndarray, 'm'] | None = None,
    ) -> tuple[Float[Array, 'b n d'], Cache]:
        """Outputs for n more tokens, the first of them number `at` after the prefix. Where `at`
        is a plain integer, no more is computed than what has been written needs."""
        return self.onward(x, self.prefix + at, cache, levels)

    def onward(self, x, at, cache, levels):
        n = x.shape[1]
        y = x + jax.lax.dynamic_slice_in_dim(self.positions, at, n).astype(x.dtype)
        seen = None if levels is None else visible(levels, at, n)
        angles, shown = self.angles(at, n), cache.shown
        if shown is not None and isinstance(at, int):
            shown = shown[:, : at + n]
        memories = []
        for block, memory in zip(self.blocks, cache.memories, strict=True):
            y, memory = block(y, seen, shown, angles, memory, at)
            memories.append(memory)
        return self.norm(y), Cache(tuple(memories), cache.shown)

    def angles(self, at, n):
        """Those of n tokens from place `at` on."""
        if not self.grids:
            return None
        found = positions.angles(self.grids, self.prefix, self.width // self.heads)
        return jax.lax.dynamic_slice_in_dim(jnp.asarray(found), at, n)


class Block(linen.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    heads: int
    mlp_width: int
    dropout: float = 0.0
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x, seen=None, shown=None, angles=None, memory=None, at=0, keys=None):
        attention = Attention(self.heads, self.dtype, name='attention')
        y, memory = attention(self.norm('attention_norm')(x), seen, shown, angles, memory, at)
        x = x + Dropout(self.dropout, name='dropout')(y, keys)
        mlp = Mlp(self.mlp_width, dropout=self.dropout, dtype=self.dtype, name='mlp')
        return x + mlp(self.norm('mlp_norm')(x), keys), memory

    def norm(self, name):
        return linen.LayerNorm(1e-5, dtype=self.dtype, name=name)
