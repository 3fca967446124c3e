"""Where tokens lie: vectors that a transformer begins with, and angles that its attention turns
queries and keys by."""

from collections.abc import Callable

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.tokens.told import INIT, SCALE

FASTEST = 2.0  # radians from one place to the next
Grids = tuple[tuple[int, ...], ...]  # shapes of grids of tokens that come one after another


def places(grids: Grids) -> Float[np.ndarray, 'n axes']:
    """The middles of the places of every grid, row by row, in units of the last one's."""
    parts = []
    for grid in grids:
        unit = np.divide(grids[-1], grid)
        parts.append((np.indices(grid).reshape(len(grid), -1).T + 0.5) * unit - 0.5)
    return np.concatenate(parts)


def phases(grids: Grids, pairs: int) -> Float[np.ndarray, 'n axes*pairs']:
    """Every coordinate times frequencies from 2 to 1/side: unlike those of the fixed
    `patchify.positions`, no wave is much longer than the grid."""
    found = []
    for side, coordinate in zip(grids[-1], places(grids).T, strict=True):
        frequencies = FASTEST * (FASTEST * side) ** (-np.arange(pairs) / max(pairs - 1, 1))
        found.append(coordinate[:, None] * frequencies)
    return np.concatenate(found, 1)


def waves(grids: Grids, width: int) -> Float[np.ndarray, 'n width']:
    """Sinusoids of mean square 1: the product of two vectors says how far apart their places lie
    along every axis (Vaswani et al., 2017)."""
    phase = phases(grids, width // (2 * len(grids[-1])))
    found = np.sqrt(2) * np.concatenate([np.sin(phase), np.cos(phase)], 1)
    return np.pad(found, ((0, 0), (0, width - found.shape[1])))


def initial(grids: Grids) -> Callable[..., Float[Array, 'm width']]:
    """An initializer of learned positions: those of grids, after others at random."""

    def init(key, shape, dtype=jnp.float32):
        room, width = shape
        placed = SCALE * waves(grids, width)
        others = INIT(key, (room - len(placed), width), dtype)
        return jnp.concatenate([others, jnp.asarray(placed, dtype)])

    return init


def angles(grids: Grids, before: int, width: int) -> Float[np.ndarray, 'before+n k']:
    """Of heads of a width, for `turned`; 0 for as many tokens `before` the grids."""
    found = phases(grids, width // (2 * len(grids[-1])))
    return np.pad(found, ((before, 0), (0, 0))).astype(np.float32)


def turned(x: Float[Array, 'b n h d'], angles: Float[Array, 'n k']) -> Float[Array, 'b n h d']:
    """Pairs of features (i, k + i) turned by their angles, so that the product of a query and a key
    depends on how far apart they lie (Su et al., 2021, along every axis: Heo et al., 2024)."""
    k = angles.shape[1]
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    a, b, rest = jnp.split(x.astype(jnp.float32), (k, 2 * k), axis=-1)
    parts = a * cos - b * sin, a * sin + b * cos, rest
    return jnp.concatenate(parts, -1).astype(x.dtype)
