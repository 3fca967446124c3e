"""Newton's method with a fixed number of steps, that halts where there is no solution."""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

STEPS = 12

Place = tuple[Float[Array, '*n'], Float[Array, '*n d'], Bool[Array, '*n']]


def newton(
    look: Callable[[Float[Array, '*n d']], Place], start: Float[Array, '*n d']
) -> Float[Array, '*n d']:
    """The solution that a way downhill from `start` leads to, or the best place on that way.

    look(x) gives the squared residual at x, Newton's step from there, and whether x may be visited.
    A step that does not improve is not taken, but tried again at a third of its length: so the way
    does not jump out of the region around `start` in which the function is invertible, unless to a
    better place.
    """
    square, step, _ = look(start)

    def improve(_, state):
        x, square, step, length = state
        there = x + length[..., None] * step
        new_square, new_step, allowed = look(there)
        better = allowed & (new_square < square)
        return (
            jnp.where(better[..., None], there, x),
            jnp.where(better, new_square, square),
            jnp.where(better[..., None], new_step, step),
            jnp.where(better, jnp.minimum(2 * length, 1), length / 3),
        )

    return jax.lax.fori_loop(0, STEPS, improve, (start, square, step, jnp.ones_like(square)))[0]
