"""Cutout: a square of the image is missing."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key


def cutout(
    images: Float[Array, 'b h w c'], keys: Key[Array, 'b'], size: int, fill: float = 0.0
) -> Float[Array, 'b h w c']:
    """Fills a `size` x `size` square centered at a random pixel; it may stick out of the image
    (DeVries & Taylor, 2017). Any range."""

    def one(image, key):
        h, w, _ = image.shape
        y, x = jax.random.randint(key, (2,), 0, jnp.array([h, w])) - size // 2
        rows, columns = jnp.arange(h) - y, jnp.arange(w) - x
        hole = ((rows >= 0) & (rows < size))[:, None] & ((columns >= 0) & (columns < size))
        return jnp.where(hole[..., None], fill, image)

    return jax.vmap(one)(images, keys)
