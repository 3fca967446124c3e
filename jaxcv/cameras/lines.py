"""Where lines of sight meet."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

LITTLE = 1e-4  # how much the place along a line counts, which parallel lines do not tell


def nearest(origins: Float[Array, '*b n 3'], directions: Float[Array, '*b n 3']) -> Array:
    """The point [*b 3] that is nearest to n lines with directions of unit length: of parallel ones
    beside the middle of their origins."""
    # The way from a line to a point, (1 - d d^T)(point - origin), is linear in the point.
    off = jnp.eye(3) - (1 - LITTLE) * directions[..., :, None] * directions[..., None, :]
    known = jnp.einsum('...nij,...nj->...i', off, origins, precision=jax.lax.Precision.HIGHEST)
    return jnp.linalg.solve(off.sum(-3), known[..., None])[..., 0]
