"""One solid with five numbers that is a sphere, box, torus, capsule, cylinder, disc or tube.

Its outline in (x, y) is a rectangle with round corners, whole or a wall along its rim; the outline
is extruded along z, and the edges between its side and its two caps are rounded. Since one formula
serves every shape, a scene is arrays: no branch, and no new program for a new scene.
"""

from typing import NamedTuple

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

TINY = 1e-20  # a square root at 0 has no gradient


class Solid(NamedTuple):
    """`edge` is at most `half` z and `wall`; from wall = min(half x, half y) there is no hole."""

    half: Float[Array, '*n 3']  # half extents along x, y, z
    corner: Float[Array, '*n']  # radius of the corners of the outline
    wall: Float[Array, '*n']  # half the thickness of the wall
    edge: Float[Array, '*n']  # radius of the edges at the caps


def solid_distance(
    solid: Solid, x: Float[Array, '*n'], y: Float[Array, '*n'], z: Float[Array, '*n']
) -> Float[Array, '*n']:
    """Signed distance, negative inside, from (x, y, z) in the solid's own frame: exact outside,
    and inside no greater in size than the true one."""
    half, corner, wall, edge = solid
    outline = _corner(jnp.abs(x) - half[..., 0] + corner, jnp.abs(y) - half[..., 1] + corner)
    rim = jnp.abs(outline - corner + wall) - wall
    return _corner(rim + edge, jnp.abs(z) - half[..., 2] + edge) - edge


def _corner(u, v):
    """Signed distance to the quadrant u < 0, v < 0."""
    outside = jnp.square(jnp.maximum(u, 0)) + jnp.square(jnp.maximum(v, 0))
    return jnp.sqrt(jnp.maximum(outside, TINY)) + jnp.minimum(jnp.maximum(u, v), 0)


def sphere(radius: float) -> Solid:
    return box((radius, radius, radius), radius)


def box(half: tuple[float, float, float], rounding: float = 0.0) -> Solid:
    return _solid(half, rounding, min(half[:2]), rounding)


def cylinder(radius: float, half_height: float, rounding: float = 0.0) -> Solid:
    """About z; a disc where it is flat, a capsule where rounding is the radius."""
    return _solid((radius, radius, half_height), radius, radius, rounding)


def capsule(radius: float, half_height: float) -> Solid:
    """About z; `half_height` reaches to its very tip."""
    return cylinder(radius, half_height, radius)


def torus(ring: float, radius: float) -> Solid:
    """About z: a tube of `radius` around a circle of radius `ring`."""
    return tube(ring + radius, radius, radius, radius)


def tube(radius: float, half_height: float, wall: float, rounding: float = 0.0) -> Solid:
    """About z, open at both ends; `radius` is the outer one, `wall` half its thickness."""
    return _solid((radius, radius, half_height), radius, wall, rounding)


def _solid(half, corner, wall, edge):
    return Solid(*(np.asarray(value, np.float32) for value in (half, corner, wall, edge)))
