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


class Half(linen.Module):
    """What both halves are made of. Positions are waves, so any size of image that the patches
    divide will do; `head` puts a tanh and a second linear layer at the end, as the paper does."""

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

    def transformed(self, y: Float[Array, 'b n d'], rows: int, columns: int, features: int):
        """Positions, blocks, norm, linear layer: [b n features]."""
        y = y + jnp.asarray(positions(rows, columns, self.width), y.dtype)
        hidden = self.mlp_width or 4 * self.width
        for i in range(self.depth):
            y = Block(
                self.heads,
                hidden,
                self.activation,
                epsilon=EPSILON,
                implementation=self.implementation,
                dtype=self.dtype,
                name=f'block{i}',
            )(y)
        y = linen.LayerNorm(EPSILON, dtype=self.dtype, name='norm')(y)
        if self.head:
            y = jnp.tanh(self.linear(hidden, 'expand')(y))
        return self.linear(features, 'project')(y)

    def linear(self, features: int, name: str) -> Dense:
        return Dense(features, kernel_init=INIT, dtype=self.dtype, name=name)


class ViTEncoder(Half):
    """[b h w c] -> [b h/p w/p features]."""

    @linen.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 features']:
        rows, columns = grid(x, self.patch)
        y = Patches(self.patch, self.width, self.dtype, name='patches')(x)
        y = self.transformed(y, rows, columns, self.features)
        return y.reshape(len(x), rows, columns, self.features)


class ViTDecoder(Half):
    """The mirror of `ViTEncoder`: [b h w d] -> [b p*h p*w features]."""

    @linen.compact
    def __call__(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 features']:
        b, rows, columns, _ = z.shape
        y = self.linear(self.width, 'embed')(z.reshape(b, rows * columns, -1))
        y = self.transformed(y, rows, columns, self.patch**2 * self.features)
        return assembled(y, rows, columns, self.patch)
