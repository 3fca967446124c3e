"""Images as sequences of patches, and back."""

import math

import numpy as np
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError

INIT = linen.initializers.xavier_uniform()


class Patches(linen.Module):
    """A linear layer on every patch, row by row: the convolution of stride `patch` as one product.

    Parameters: `kernel` [patch, patch, channels, features], initialized as the linear layer that
    it is, and `bias`.
    """

    patch: int
    features: int
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b n features']:
        shape = (self.patch, self.patch, x.shape[-1], self.features)
        kernel = self.param('kernel', as_linear, shape, jnp.float32)
        bias = self.param('bias', linen.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = linen.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return cut(x, self.patch) @ kernel.reshape(-1, self.features) + bias


def as_linear(key, shape, dtype):
    return INIT(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)


def grid(x: Float[Array, 'b h w c'], patch: int) -> tuple[int, int]:
    """Rows and columns of patches."""
    h, w = x.shape[1:3]
    if h % patch or w % patch:
        raise UserError(f'images of {h}x{w} do not divide into patches of {patch}x{patch}')
    return h // patch, w // patch


def cut(x: Float[Array, 'b h w c'], patch: int) -> Float[Array, 'b n p*p*c']:
    """The patches, each as [row, column, channel]."""
    rows, columns = grid(x, patch)
    x = x.reshape(x.shape[0], rows, patch, columns, patch, x.shape[-1])
    return x.swapaxes(2, 3).reshape(x.shape[0], rows * columns, -1)


def assembled(
    x: Float[Array, 'b n p*p*c'], rows: int, columns: int, patch: int
) -> Float[Array, 'b h w c']:
    """The inverse of `cut`."""
    x = x.reshape(x.shape[0], rows, columns, patch, patch, -1).swapaxes(2, 3)
    return x.reshape(x.shape[0], rows * patch, columns * patch, -1)


def positions(rows: int, columns: int, width: int) -> Float[np.ndarray, 'n width']:
    """Fixed positions: [sin, cos] of the column at width / 4 frequencies 10000^(-4 i / width), then
    of the row (He et al., 2022)."""
    if width % 4:
        raise UserError(f'positions of width {width}; the width must be a multiple of 4')
    frequencies = 10_000.0 ** -(np.arange(width // 4) / (width / 4))
    row, column = np.mgrid[:rows, :columns].reshape(2, -1, 1) * frequencies
    waves = [np.sin(column), np.cos(column), np.sin(row), np.cos(row)]
    return np.concatenate(waves, axis=1).astype(np.float32)
