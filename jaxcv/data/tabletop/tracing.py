"""Where rays meet a scene: sphere tracing (Hart 1996), then one step of Newton's method."""

from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.cameras.boxes import span
from jaxcv.data.tabletop.chunks import CHUNK, by_chunks
from jaxcv.data.tabletop.world import Scene, bounds, distance, gradient

ROUND = 12  # steps, after which those that still go are brought together
ROUNDS = 16
NEAR = 1e-4  # what is closer has been hit


class Hit(NamedTuple):
    """Where rays end."""

    length: Float[Array, 'n']  # along the ray, to the surface; 0 where it misses
    found: Bool[Array, 'n']
    lost: Bool[Array, 'n']  # neither there nor past everything after all steps: counts as a miss


def trace(
    scene: Scene,
    origins: Float[Array, 'n 3'],
    directions: Float[Array, 'n 3'],
    chunk: int = CHUNK,
) -> Hit:
    """Of rays with unit directions that start outside. What they find lies within rounding of the
    surface, or within NEAR where they graze it. No gradient flows back through the loop."""
    start, end = span(origins, directions, *bounds(scene))
    march = partial(_march, scene)

    def going(state):
        _, active, step = state
        return active.any() & (step < ROUNDS)

    def forward(state):
        length, active, step = state
        length, active = by_chunks(
            march, active, (origins, directions, end, length), (length, active), chunk
        )
        return length, active, step + 1

    inside = start < end
    length, lost, _ = jax.lax.while_loop(going, forward, (start, inside, jnp.int32(0)))
    found = inside & (length < end) & ~lost
    polish = partial(_polished, scene)
    rest = (jnp.zeros_like(length),)
    (length,) = by_chunks(polish, found, (origins, directions, length), rest, chunk)
    return Hit(length, found, lost)


def _march(scene, active, origins, directions, end, length):
    def going(state):
        _, active, step = state
        return active.any() & (step < ROUND)

    def forward(state):
        length, active, step = state
        free = distance(scene, origins + length[:, None] * directions)
        # Those that arrive do not step, and so stay where they have been found.
        active = active & (free > NEAR)
        length = jnp.where(active, length + free, length)
        return length, active & (length < end), step + 1

    return jax.lax.while_loop(going, forward, (length, active, jnp.int32(0)))[:2]


def _polished(scene, found, origins, directions, length):
    points = origins + length[:, None] * directions
    toward = (gradient(scene, points) * directions).sum(-1)
    length = length - distance(scene, points) / jnp.minimum(toward, -0.1)  # not far where it grazes
    return (jnp.where(found, length, 0),)
