"""All of space, or what a camera has in front of it, in the box [-1, 1]^3."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

NEAREST = 0.5  # depth up to which `frustum` is what it says


def ball(points: Float[Array, '*n 3']) -> Float[Array, '*n 3']:
    """All of space: what lies within 1 of the origin comes to lie within 1/2, and distance r beyond
    becomes 1 - 1/(2 r) (Barron et al. 2022, eq. 10, by half)."""
    radius = _radius(points)
    return (1 - 1 / (2 * radius)) / radius * points


def frustum(points: Float[Array, '*n 3']) -> Float[Array, '*n 3']:
    """What lies beyond the plane z = -1 in the right angle about -z that the origin sees: its
    normalized device coordinates (Mildenhall et al. 2020, appendix C), 1 at infinity."""
    depth = jnp.maximum(-points[..., 2:], NEAREST)
    return jnp.concatenate([points[..., :2] / depth, 1 - 2 / depth], axis=-1)


def spread(warp, points: Float[Array, 'n 3'], variance: Float[Array, 'n 3']) -> Float[Array, 'n 3']:
    """The variance per axis of a Gaussian, its axes independent, where `warp` takes it: linearized
    at its mean."""
    slope = jax.vmap(jax.jacfwd(warp))(points)
    return (jnp.square(slope) * variance[:, None]).sum(-1)


def _radius(points):
    """Not below 1, where nothing is contracted: so no derivative fails at 0."""
    square = jnp.square(points).sum(axis=-1, keepdims=True)
    return jnp.sqrt(jnp.maximum(square, 1.0))
