"""Random regularizers whose randomness belongs to the sample.

Keys come one per sample, `[b]`; each module folds its own path into them, so that two layers draw
differently and a sample's mask depends neither on the batch size nor on the number of devices.
"""

import zlib

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key


def fold_path(module: linen.Module, keys: Key[Array, 'b']) -> Key[Array, 'b']:
    """Keys of this module: `crc32` of its path is stable between processes, `hash` is not."""
    code = zlib.crc32('/'.join(module.path).encode())
    return jax.vmap(lambda key: jax.random.fold_in(key, code))(keys)


def drop(
    x: Float[Array, 'b *s'], keys: Key[Array, 'b'], rate: float, shape: tuple[int, ...]
) -> Float[Array, 'b *s']:
    """Zeroes entries with probability `rate` and divides the rest by 1 - rate. One decision per
    entry of `shape`, which broadcasts against a sample."""
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - rate, shape))(keys)
    return jnp.where(kept, x / (1.0 - rate), jnp.zeros_like(x)) if rate < 1.0 else x * 0.0


class Dropout(linen.Module):
    """Drops each entry with probability `rate` (Srivastava et al., 2014). `keys=None`: identity."""

    rate: float

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b *s'], keys: Key[Array, 'b'] | None
    ) -> Float[Array, 'b *s']:
        if keys is None or self.rate == 0.0:
            return x
        return drop(x, fold_path(self, keys), self.rate, x.shape[1:])


class StochasticDepth(linen.Module):
    """Drops a whole sample of a residual branch with probability `rate` (Huang et al., 2016).
    `keys=None`: identity."""

    rate: float

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b *s'], keys: Key[Array, 'b'] | None
    ) -> Float[Array, 'b *s']:
        if keys is None or self.rate == 0.0:
            return x
        return drop(x, fold_path(self, keys), self.rate, (1,) * (x.ndim - 1))
