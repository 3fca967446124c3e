"""Where rays pass through a box."""

from jax import numpy as jnp
from jaxtyping import Array, Float


def span(
    origins: Float[Array, 'n 3'],
    directions: Float[Array, 'n 3'],
    low: Float[Array, '3'],
    high: Float[Array, '3'],
) -> tuple[Float[Array, 'n'], Float[Array, 'n']]:
    """Lengths at which rays enter and leave the box, the first at least 0; a ray misses the box
    unless the first is less."""
    tiny = jnp.finfo(directions.dtype).tiny
    slope = jnp.where(jnp.abs(directions) < tiny, tiny, directions)
    first, second = (low - origins) / slope, (high - origins) / slope
    enter = jnp.maximum(jnp.minimum(first, second).max(axis=-1), 0.0)
    return enter, jnp.maximum(first, second).min(axis=-1)
