"""How alike are two images?"""

from jax import numpy as jnp
from jaxtyping import Array, Float

LEAST = 1e-10  # mean squared error of images that are the same, for 100 dB


def psnr(x: Float[Array, 'b *s'], y: Float[Array, 'b *s'], span: float = 1.0) -> Float[Array, 'b']:
    """Peak signal-to-noise ratio of each pair, 10 log10(span^2 / mean squared error), in decibels;
    `span` is the difference of white and black."""
    x, y = (z.astype(jnp.float32) / span for z in (x, y))
    error = jnp.square(x - y).mean(range(1, x.ndim))
    return -10 * jnp.log10(jnp.maximum(error, LEAST))


def decibels(x: Float[Array, 'b *s'], y: Float[Array, 'b *s']) -> Float[Array, 'b']:
    """PSNR of images in [-1, 1] and of what a network makes of them, which may leave it."""
    return psnr(x, jnp.clip(y, -1, 1), span=2.0)
