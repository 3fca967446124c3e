"""Bytes of images as numbers."""

from jax import numpy as jnp
from jaxtyping import Array, Float, UInt8


def unit(images: UInt8[Array, '*s h w c']) -> Float[Array, '*s h w c']:
    """In [0, 1]."""
    return jnp.asarray(images, jnp.float32) / 255


def signed(images: UInt8[Array, '*s h w c']) -> Float[Array, '*s h w c']:
    """In [-1, 1]."""
    return jnp.asarray(images, jnp.float32) / 127.5 - 1
