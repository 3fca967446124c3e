"""Transformers as the two halves of an autoencoder (Yu et al., 2022, "ViT-VQGAN").

They take the places of `jaxcv.autoencoder`'s convolutional encoder and decoder.
"""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.nn import Dense
from jaxcv.nn.patchify import Patches, assembled, grid, positions
from jaxcv.nn.transformer import Block

INIT = linen.initializers.xavier_uniform()
EPSILON = 1e-6
# The paper's sizes.
SIZES = {
    'small': {'width': 512, 'depth': 8, 'heads': 8, 'mlp_width': 2048},
    'base': {'width': 768, 'depth': 12, 'heads': 12, 'mlp_width': 3072},
    'large': {'width': 1280, 'depth': 32, 'heads': 16, 'mlp_width': 5120},
}


class ViTEncoder(linen.Module):
    """Patches, fixed positions, blocks, norm, linear layer: [b h w c] -> [b h/p w/p features].

    Positions are waves, so any size of image that the patches divide will do; `head` puts a tanh
    and a second linear layer at the end, as the paper does.
    """

    features: int
    patch: int = 8
    width: int = 512
    depth: int = 8
    heads: int = 8
    mlp_width: int | None = None  # default: 4 * width
    activation: str = 'gelu_tanh'
    head: bool = False
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 features']:
        rows, columns = grid(x, self.patch)
        y = Patches(self.patch, self.width, self.dtype, name='patches')(x)
        y = blocks(self, y + place(self, rows, columns, y.dtype))
        if self.head:
            y = jnp.tanh(linear(self, self.mlp_width or 4 * self.width, 'expand')(y))
        y = linear(self, self.features, 'project')(y)
        return y.reshape(len(x), rows, columns, self.features)


class ViTDecoder(linen.Module):
    """The mirror of `ViTEncoder`: [b h w d] -> [b p*h p*w features]."""

    features: int = 3
    patch: int = 8
    width: int = 512
    depth: int = 8
    heads: int = 8
    mlp_width: int | None = None  # default: 4 * width
    activation: str = 'gelu_tanh'
    head: bool = False
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 features']:
        b, rows, columns, _ = z.shape
        y = linear(self, self.width, 'embed')(z.reshape(b, rows * columns, -1))
        y = blocks(self, y + place(self, rows, columns, y.dtype))
        if self.head:
            y = jnp.tanh(linear(self, self.mlp_width or 4 * self.width, 'expand')(y))
        y = linear(self, self.patch**2 * self.features, 'project')(y)
        return assembled(y, rows, columns, self.patch)


def place(module: linen.Module, rows: int, columns: int, dtype) -> Float[Array, 'n d']:
    return jnp.asarray(positions(rows, columns, module.width), dtype)


def blocks(module: linen.Module, y: Float[Array, 'b n d']) -> Float[Array, 'b n d']:
    """All blocks of the calling module, and the norm after the last."""
    for i in range(module.depth):
        y = Block(
            module.heads,
            module.mlp_width or 4 * module.width,
            module.activation,
            epsilon=EPSILON,
            implementation=module.implementation,
            dtype=module.dtype,
            name=f'block{i}',
        )(y)
    return linen.LayerNorm(EPSILON, dtype=module.dtype, name='norm')(y)


def linear(module: linen.Module, features: int, name: str) -> Dense:
    return Dense(features, kernel_init=INIT, dtype=module.dtype, name=name)
