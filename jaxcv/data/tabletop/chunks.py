"""Work on some of many rows, a cache's worth at a time."""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool

CHUNK = 4096


def by_chunks(
    function: Callable,
    active: Bool[Array, 'n'],
    arrays: tuple[Array, ...],
    rest: tuple[Array, ...],
    chunk: int = CHUNK,
) -> tuple[Array, ...]:
    """function(active, *arrays) of the active rows of `arrays` [n ...], `chunk` of them at a time.

    They are brought together, so that the others cost little: those keep their rows of `rest`
    [n ...], unless they fill up the last chunk, so the function should give these back for them.
    """
    size, count = len(active), active.sum()
    chunk = min(chunk, size)
    room = -(-size // chunk) * chunk
    # Where each row goes: the active first, both kinds in their order.
    place = jnp.where(active, jnp.cumsum(active), count + jnp.cumsum(~active)) - 1

    def together(x):
        return jnp.zeros((room, *x.shape[1:]), x.dtype).at[place].set(x, unique_indices=True)

    rows, results = jax.tree.map(together, ((active, *arrays), rest))

    def one(i, results):
        part = function(*(jax.lax.dynamic_slice_in_dim(x, i * chunk, chunk) for x in rows))
        pairs = zip(results, part, strict=True)
        return tuple(jax.lax.dynamic_update_slice_in_dim(x, y, i * chunk, 0) for x, y in pairs)

    results = jax.lax.fori_loop(0, -(-count // chunk), one, results)
    return tuple(x[place] for x in results)
