"""Cameras on the upper half of a sphere around the scene, looking at its middle."""

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.cameras import Camera, look_at, make

DISTANCE = 2.7
FOCAL = 1.35  # in widths of the image
HEIGHTS = 0.1, 0.95  # the directions' z: above the ground, short of straight down


def fibonacci(count: int) -> Float[Array, 'n 3']:
    """Evenly spread unit directions, from low to high: turns by the golden angle."""
    steps = np.arange(count)
    low, high = HEIGHTS
    return _directions(low + (high - low) * (steps + 0.5) / count, np.pi * (3 - 5**0.5) * steps)


def scattered(keys: Key[Array, 'n']) -> Float[Array, 'n 3']:
    """Independent unit directions, uniform over the same part of the sphere."""
    draw = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys)
    low, high = HEIGHTS
    return _directions(low + (high - low) * draw[:, 0], 2 * np.pi * draw[:, 1])


def _directions(z, angle):
    z, angle = jnp.asarray(z, jnp.float32), jnp.asarray(angle, jnp.float32)
    radius = jnp.sqrt(1 - z * z)
    return jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle), z], -1)


def orbit(directions: Float[Array, 'n 3'], size: int) -> Camera:
    """n cameras in these directions, with square images of `size` pixels."""
    target, up = jnp.zeros(3), jnp.array([0.0, 0.0, 1.0])
    return make(look_at(DISTANCE * directions, target, up), FOCAL * size, size, size)
