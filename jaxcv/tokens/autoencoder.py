"""Autoencoders whose latents are codes: an encoder, a quantizer, a decoder (van den Oord et al.,
2017).

    module = ConvTokenizer(quantizer('ema', codes=512), widths=(64, 128, 256))
    (output, found), statistics = module.apply(variables, images, keys, mutable=['statistics'])
    codes = module.apply(variables, images, method='tokenize')
    images = module.apply(variables, codes, method='detokenize')
"""

from collections.abc import Sequence

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.autoencoder.kl import halves
from jaxcv.autoencoder.losses import reconstruction
from jaxcv.nn import Dense
from jaxcv.nn.conv import Conv
from jaxcv.tokens.quantized import Quantized, Quantizer
from jaxcv.tokens.vit import ViTDecoder, ViTEncoder


class Bottleneck(linen.Module):
    """A quantizer as a layer. What it learns by gradient are parameters; what it learns from
    statistics is the collection `statistics`, which training makes mutable."""

    quantizer: Quantizer
    width: int

    def setup(self):
        def init(key):
            return self.quantizer.init(key, self.width)

        self.learned = self.param('learned', lambda key: init(key)[0])
        self.counted = self.variable(
            'statistics', 'counted', lambda: init(self.make_rng('params'))[1]
        )

    def __call__(
        self, z: Float[Array, 'b h w d'], keys: Key[Array, 'b'] | None = None
    ) -> Quantized:
        found, state = self.quantizer(self.learned, self.counted.value, z, keys)
        if keys is not None and not self.is_initializing():
            self.counted.value = state
        return found

    def lookup(self, codes: Int[Array, 'b *s']) -> Float[Array, 'b h w d']:
        return self.quantizer.lookup(self.learned, self.counted.value, codes)


class Tokenizer(linen.Module):
    """Images [b h w c] in [-1, 1] <-> vectors [b h/f w/f width] <-> codes [b *grid].

    Subclasses set up `encoder`, `decoder`, the 1x1 layers `to_vectors` and `from_vectors` between
    them and the quantizer, and the `bottleneck`. Times `scale` the values have about unit variance,
    for a model that learns in them.
    """

    quantizer: Quantizer
    scale: float = 1.0

    def __call__(
        self, images: Float[Array, 'b h w c'], keys: Key[Array, 'b'] | None = None
    ) -> tuple[Float[Array, 'b h w d'], Quantized]:
        """The reconstruction from the codes, and the codes. Keys: of training."""
        found = self.bottleneck(self.encode(images), keys)
        return self.decode(found.values), found

    def encode(self, images: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 d']:
        """Vectors before the quantizer."""
        return self.to_vectors(self.encoder(images))

    def decode(self, values: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 c']:
        """From vectors as the quantizer gives them."""
        return self.decoder(self.from_vectors(values))

    def quantize(self, vectors: Float[Array, 'b h w d']) -> Quantized:
        return self.bottleneck(vectors)

    def lookup(self, codes: Int[Array, 'b *s']) -> Float[Array, 'b h w d']:
        return self.bottleneck.lookup(codes)

    def tokenize(self, images: Float[Array, 'b h w c']) -> Int[Array, 'b *s']:
        return self.quantize(self.encode(images)).codes

    def detokenize(self, codes: Int[Array, 'b *s']) -> Float[Array, 'b h w c']:
        return self.decode(self.lookup(codes))


class ConvTokenizer(Tokenizer):
    """With the convolutional halves of latent diffusion; f = 2^(levels - 1).

    `latents` is the number of channels of encoder and decoder, `latent_width` that of the vectors.
    """

    latents: int = 3
    latent_width: int | None = None  # default: latents
    widths: Sequence[int] = (128, 256, 512)
    blocks: int = 2
    attention: Sequence[bool] | None = None  # whether a level attends; default: none does
    decoder_attention: Sequence[bool] | None = None  # default: as in the encoder
    middle_attention: bool = True
    channels: int = 3  # of the decoder's images
    groups: int = 32
    activation: str = 'silu'
    dtype: jnp.dtype | None = None

    def setup(self):
        self.encoder, self.decoder = halves(self, self.latents)
        width = self.latent_width or self.latents
        self.to_vectors = Conv(width, (1, 1), dtype=self.dtype)
        self.from_vectors = Conv(self.latents, (1, 1), dtype=self.dtype)
        self.bottleneck = Bottleneck(self.quantizer, width)


class ViTTokenizer(Tokenizer):
    """With transformers over patches; f = patch. `latent_width` is that of the vectors."""

    latent_width: int = 32
    patch: int = 8
    width: int = 512
    depth: int = 8
    heads: int = 8
    channels: int = 3  # of the decoder's images
    dtype: jnp.dtype | None = None

    def setup(self):
        same = {
            'patch': self.patch,
            'width': self.width,
            'depth': self.depth,
            'heads': self.heads,
            'dtype': self.dtype,
        }
        self.encoder = ViTEncoder(self.width, **same)
        self.decoder = ViTDecoder(self.channels, **same)
        self.to_vectors = Dense(self.latent_width, dtype=self.dtype)
        self.from_vectors = Dense(self.width, dtype=self.dtype)
        self.bottleneck = Bottleneck(self.quantizer, self.latent_width)


def loss(
    images: Float[Array, 'b h w c'],
    output: Float[Array, 'b h w c'],
    found: Quantized,
    weight: float = 1.0,
    distance: str = 'l2',
) -> Float[Array, 'b']:
    """reconstruction + weight * the loss of the quantizer."""
    return reconstruction(images, output, distance) + weight * found.loss
