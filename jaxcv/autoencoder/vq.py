"""The autoencoder with a codebook (van den Oord et al., 2017) of latent diffusion."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.autoencoder.kl import halves
from jaxcv.nn.conv import Conv
from jaxcv.nn.straight_through import straight_through


class Quantized(NamedTuple):
    """What `quantize` finds."""

    values: Float[Array, 'b *s d']  # rows of the codebook, with the gradient of z
    indices: Int[Array, 'b *s']
    loss: Float[Array, 'b']


def nearest(z: Float[Array, '*s d'], codebook: Float[Array, 'k d']) -> Int[Array, '*s']:
    """The row of the codebook at the least distance, the first of equals.

    ||z - e||^2 = ||z||^2 - 2 <z, e> + ||e||^2 where the first term is the same for every row: one
    matrix product, and no array of all differences."""
    z, codebook = (jax.lax.stop_gradient(x).astype(jnp.float32) for x in (z, codebook))
    # The differences between distances are small beside the distances.
    products = jnp.matmul(z, codebook.T, precision='highest')
    return jnp.argmin(jnp.square(codebook).sum(-1) - 2 * products, axis=-1)


def quantize(
    z: Float[Array, 'b *s d'], codebook: Float[Array, 'k d'], beta: float = 0.25
) -> Quantized:
    """Every vector of z replaced by the nearest row e of the codebook.

    The loss of a sample is ||sg(z) - e||^2 + beta ||z - sg(e)||^2, as a mean over positions and
    channels in float32; beta is on the commitment of z to its code. (The default of
    taming-transformers and of diffusers has it on the other term.) The gradient of `values` goes
    straight through to z, so the codebook learns from the loss alone.
    """
    indices = nearest(z, codebook)
    e, x = codebook[indices].astype(jnp.float32), z.astype(jnp.float32)
    axes = range(1, z.ndim)
    codebook_term = jnp.square(jax.lax.stop_gradient(x) - e).mean(axes)
    commitment = jnp.square(x - jax.lax.stop_gradient(e)).mean(axes)
    values = straight_through(e.astype(z.dtype), z)
    return Quantized(values, indices, codebook_term + beta * commitment)


def perplexity(indices: Int[Array, '*s'], codes: int) -> Float[Array, '']:
    """exp(entropy) of how often each of `codes` codes is used: 1 (one code) to `codes` (evenly)."""
    return evenness(jnp.bincount(indices.ravel(), length=codes))


def evenness(counts: Float[Array, 'k']) -> Float[Array, '']:
    """The perplexity of codes that were used so often."""
    return jnp.exp(jax.scipy.special.entr(counts / counts.sum()).sum())


def small(key, shape, dtype=jnp.float32):
    """Rows within 1/k of 0, as in the original: all of them are near what a fresh encoder gives."""
    return jax.random.uniform(key, shape, dtype, -1 / shape[0], 1 / shape[0])


class VQAutoencoder(linen.Module):
    """Images [b h w c] in [-1, 1] <-> vectors [b h/f w/f code_width] <-> codes [b h/f w/f].

    `latents` is the number of channels of encoder and decoder; 1x1 convolutions lead to the width
    of the codes, by default the same, and back. A model may learn in the vectors before the lookup,
    times `scale` (as latent diffusion does), or in the codes.
    """

    latents: int = 3
    codes: int = 256
    code_width: int | None = None  # default: latents
    beta: float = 0.25
    widths: Sequence[int] = (128, 256, 512)
    blocks: int = 2
    attention: Sequence[bool] | None = None  # whether a level attends; default: none does
    decoder_attention: Sequence[bool] | None = None  # default: as in the encoder
    middle_attention: bool = True
    channels: int = 3  # of the decoder's images
    groups: int = 32
    activation: str = 'silu'
    scale: float = 1.0
    dtype: jnp.dtype | None = None

    def setup(self):
        self.encoder, self.decoder = halves(self, self.latents)
        width = self.code_width or self.latents
        self.to_latents = Conv(width, (1, 1), dtype=self.dtype)
        self.from_latents = Conv(self.latents, (1, 1), dtype=self.dtype)
        self.codebook = self.param('codebook', small, (self.codes, width))

    def __call__(
        self, images: Float[Array, 'b h w c']
    ) -> tuple[Float[Array, 'b h w d'], Quantized]:
        """The reconstruction from the codes, and the codes."""
        found = quantize(self.encode(images), self.codebook, self.beta)
        return self.decode_vectors(found.values), found

    def encode(self, images: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 d']:
        """Vectors before the lookup."""
        return self.to_latents(self.encoder(images))

    def indices(self, images: Float[Array, 'b h w c']) -> Int[Array, 'b h2 w2']:
        return nearest(self.encode(images), self.codebook)

    def decode(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 c']:
        """Of any vectors: the image of their nearest codes."""
        return self.decode_indices(nearest(z, self.codebook))

    def decode_indices(self, indices: Int[Array, 'b h w']) -> Float[Array, 'b h2 w2 c']:
        return self.decode_vectors(self.codebook[indices])

    def decode_vectors(self, codes: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 c']:
        """Without a lookup."""
        return self.decoder(self.from_latents(codes))

    def standardized(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h w d']:
        return z * self.scale

    def unstandardized(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h w d']:
        return z / self.scale
