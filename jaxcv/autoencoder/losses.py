"""What autoencoders are trained with, one number per sample."""

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.autoencoder.kl import Gaussian, kl
from jaxcv.errors import choose

DISTANCES = {'l1': jnp.abs, 'l2': jnp.square}


def reconstruction(
    images: Float[Array, 'b h w c'], output: Float[Array, 'b h w c'], distance: str = 'l1'
) -> Float[Array, 'b']:
    """|x - y| ('l1') or (x - y)^2 ('l2'), as a mean over pixels and channels, in float32."""
    measure = DISTANCES[choose(distance, DISTANCES, 'the distance of a reconstruction')]
    difference = images.astype(jnp.float32) - output.astype(jnp.float32)
    return measure(difference).mean(range(1, images.ndim))


def kl_loss(
    images: Float[Array, 'b h w c'],
    output: Float[Array, 'b h w c'],
    posterior: Gaussian,
    weight: float = 1e-6,
    distance: str = 'l1',
) -> Float[Array, 'b']:
    """reconstruction + weight * kl / (values of an image).

    Latent diffusion sums both terms over all they have; dividing both by the number of values
    keeps the meaning of `weight` and makes losses of different sizes comparable.
    """
    values = images[0].size
    return reconstruction(images, output, distance) + weight * kl(posterior) / values
