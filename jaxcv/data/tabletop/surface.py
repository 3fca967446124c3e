"""Points of the true surface, for distances between surfaces."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.data.tabletop.world import Scene, bounds, distance, gradient

TRIES = 64
SHELL = 0.03  # half its thickness
NEWTON = 6


def surface_points(scene: Scene, keys: Key[Array, 'n']) -> Float[Array, 'n 3']:
    """One point of the surface per key, spread evenly up to its curvature: the first of some
    places drawn in the box around the scene that lies in a thin shell about the surface (or the
    nearest, where none does), projected along the gradient.

    No camera above sees the undersides: leave out the points whose `normals` point down.
    """
    low, high = bounds(scene)

    def draw(key):
        places = low + (high - low) * jax.random.uniform(key, (TRIES, 3))
        off = jnp.abs(distance(scene, places))
        first = jnp.where((off < SHELL).any(), (off < SHELL).argmax(), off.argmin())
        return places[first]

    def project(_, points):
        slope = gradient(scene, points)
        square = jnp.maximum(jnp.square(slope).sum(-1), 1e-3)
        return points - (distance(scene, points) / square)[:, None] * slope

    return jax.lax.fori_loop(0, NEWTON, project, jax.vmap(draw)(keys))
