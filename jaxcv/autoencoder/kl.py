"""The autoencoder with a Gaussian posterior (Kingma and Welling, 2014) of latent diffusion."""

from collections.abc import Sequence
from typing import NamedTuple

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.autoencoder.decoder import Decoder
from jaxcv.autoencoder.encoder import Encoder
from jaxcv.nn.conv import Conv
from jaxcv.ops.noise import normal

BOUNDS = (-30.0, 20.0)  # of the logarithm of a variance


class Gaussian(NamedTuple):
    """Independent normal distributions, one per latent. The mode is the mean."""

    mean: Float[Array, 'b h w d']
    log_variance: Float[Array, 'b h w d']


def sample(posterior: Gaussian, keys: Key[Array, 'b']) -> Float[Array, 'b h w d']:
    """mean + std * noise; a sample's noise depends on its own key alone."""
    mean, log_variance = posterior
    noise = normal(keys, mean.shape[1:]).astype(mean.dtype)
    return mean + jnp.exp(log_variance / 2) * noise


def kl(posterior: Gaussian) -> Float[Array, 'b']:
    """KL(posterior || N(0, 1)) in nats, summed over the latents of a sample:
    sum of (mean^2 + variance - 1 - log variance) / 2."""
    mean, log_variance = (x.astype(jnp.float32) for x in posterior)
    # expm1: the terms cancel where the posterior is near the prior.
    terms = jnp.square(mean) + jnp.expm1(log_variance) - log_variance
    return 0.5 * terms.sum(range(1, mean.ndim))


def standardization(latents: Float[Array, 'b h w d']) -> tuple[Float[Array, ''], Float[Array, '']]:
    """(shift, scale) such that (latents - shift) * scale have mean 0 and variance 1 over all."""
    latents = latents.astype(jnp.float32)
    return latents.mean(), 1 / latents.std()


class KLAutoencoder(linen.Module):
    """Images [b h w c] in [-1, 1] <-> latents [b h/f w/f latents], f = 2^(levels - 1).

    Latents of about unit variance, for a model that learns in them, are (z - shift) * scale:
    `standardized` and its inverse; `standardization` measures both on latents of the data, and
    `module.clone(shift=..., scale=...)` keeps them. The projections are 1x1 convolutions after the
    encoder and before the decoder.
    """

    latents: int = 4
    widths: Sequence[int] = (128, 256, 512, 512)
    blocks: int = 2
    attention: Sequence[bool] | None = None  # whether a level attends; default: none does
    decoder_attention: Sequence[bool] | None = None  # default: as in the encoder
    middle_attention: bool = True
    channels: int = 3  # of the decoder's images
    groups: int = 32
    activation: str = 'silu'
    encoder_projection: bool = True
    decoder_projection: bool = True
    shift: float = 0.0
    scale: float = 1.0
    dtype: jnp.dtype | None = None

    def setup(self):
        self.encoder, self.decoder = halves(self, 2 * self.latents)
        if self.encoder_projection:
            self.to_latents = Conv(2 * self.latents, (1, 1), dtype=self.dtype)
        if self.decoder_projection:
            self.from_latents = Conv(self.latents, (1, 1), dtype=self.dtype)

    def __call__(
        self, images: Float[Array, 'b h w c'], keys: Key[Array, 'b'] | None = None
    ) -> tuple[Float[Array, 'b h w d'], Gaussian]:
        """The reconstruction from a sample of the posterior (without keys: from its mode), and the
        posterior."""
        posterior = self.encode(images)
        return self.decode(posterior.mean if keys is None else sample(posterior, keys)), posterior

    def encode(self, images: Float[Array, 'b h w c']) -> Gaussian:
        y = self.encoder(images)
        y = self.to_latents(y) if self.encoder_projection else y
        mean, log_variance = jnp.split(y, 2, axis=-1)
        return Gaussian(mean, jnp.clip(log_variance, *BOUNDS))

    def decode(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 c']:
        return self.decoder(self.from_latents(z) if self.decoder_projection else z)

    def standardized(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h w d']:
        return (z - self.shift) * self.scale

    def unstandardized(self, z: Float[Array, 'b h w d']) -> Float[Array, 'b h w d']:
        return z / self.scale + self.shift


def halves(module: linen.Module, features: int) -> tuple[Encoder, Decoder]:
    """The encoder, with `features` outputs, and the decoder that the fields of `module` ask for."""
    same = {
        'widths': module.widths,
        'blocks': module.blocks,
        'middle_attention': module.middle_attention,
        'groups': module.groups,
        'activation': module.activation,
        'dtype': module.dtype,
    }
    there, back = module.attention, module.decoder_attention
    back = there if back is None else back
    return Encoder(features, attention=there, **same), Decoder(
        module.channels, attention=back, **same
    )
