"""Where tokens lie, as vectors that a transformer begins with."""

from collections.abc import Callable

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.tokens.told import INIT, SCALE

FASTEST = 2.0  # radians from one place to the next


def waves(grid: tuple[int, ...], width: int) -> Float[np.ndarray, 'n width']:
    """Sinusoids of every coordinate of the places of a grid, row by row, of mean square 1. Their
    frequencies fall from 2 to 1/side: the product of two vectors says how far apart they lie along
    every axis, and a neighbor is a rotation away (Vaswani et al., 2017)."""
    pairs, parts = width // (2 * len(grid)), []
    for side, place in zip(grid, np.indices(grid), strict=True):
        frequencies = FASTEST * (FASTEST * side) ** (-np.arange(pairs) / max(pairs - 1, 1))
        phase = place.reshape(-1, 1) * frequencies
        parts += [np.sin(phase), np.cos(phase)]
    found = np.sqrt(2) * np.concatenate(parts, 1)
    return np.pad(found, ((0, 0), (0, width - found.shape[1])))


def initial(grid: tuple[int, ...]) -> Callable[..., Float[Array, 'm width']]:
    """An initializer of learned positions: those of a grid, after others at random."""

    def init(key, shape, dtype=jnp.float32):
        room, width = shape
        placed = SCALE * waves(grid, width)
        others = INIT(key, (room - len(placed), width), dtype)
        return jnp.concatenate([others, jnp.asarray(placed, dtype)])

    return init
