"""Front to back over the lists of tiles, many tiles in lockstep, a Gaussian of each at a time.

A step over one tile is too small to pay for itself, and unrolling several Gaussians makes XLA
compute the first again for each later one. Over some thousand pixels at a time, what a step reads
and writes stays in a core's cache, and each of its operations can use more than one core.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.splat.tiles import Grid, Lists

LANES = 128  # tiles in lockstep, at most
GROUPS = 4  # of such, at least: a short list waits for the longest of its group
State = TypeVar('State')


class Lanes(NamedTuple):
    """Tiles that are walked in lockstep, or groups of such: where their lists start and end, and
    the middle of the tile in pixels."""

    starts: Int[Array, '*g lanes']
    ends: Int[Array, '*g lanes']
    middles: Float[Array, '*g lanes 2']


def lockstep(grid: Grid) -> int:
    """How many tiles go together."""
    return min(LANES, -(-grid.tiles // GROUPS))


def lanes(lists: Lists, grid: Grid, dtype: np.dtype) -> tuple[Lanes, Int[Array, 'g*lanes']]:
    """All tiles in groups, and their order: tiles with lists of similar lengths go together."""
    width = lockstep(grid)
    total = -(-grid.tiles // width) * width
    bounds = jnp.pad(lists.bounds, (0, total - grid.tiles), mode='edge')
    order = jnp.argsort(bounds[:-1] - bounds[1:])
    middles = jnp.stack([order % grid.columns, order // grid.columns], axis=-1) + 0.5
    found = Lanes(bounds[order], bounds[order + 1], (middles * grid.size).astype(dtype))
    return jax.tree.map(lambda x: x.reshape(-1, width, *x.shape[1:]), found), order


def walk(
    step: Callable[[State, Array, Array], State],
    state: State,
    busy: Callable[[State], Array],
    table: Float[Array, 'n columns'],
    lists: Lists,
    lanes: Lanes,
) -> State:
    """`state` after `step(state, members [lanes], rows [lanes columns])` with the next Gaussian of
    every lane, until all lists have ended or lanes are no longer `busy` [lanes].

    Rows are those of the table, whose first two columns are means in pixels: from the middle of
    the tile. Its last row is what lanes get whose lists have ended.
    """
    shift = jnp.pad(lanes.middles, ((0, 0), (0, table.shape[1] - 2)))

    def some(places):
        members = lists.members.at[places].get(mode='clip')
        members = jnp.where(places < lanes.ends, members, len(table) - 1)
        return members, table.at[members].get(mode='promise_in_bounds') - shift

    def going(carry):
        places, state = carry
        return ((places < lanes.ends) & busy(state)).any()

    def body(carry):
        places, state = carry
        # Fused with what follows, rows would be gathered for every pixel.
        return places + 1, step(state, *jax.lax.optimization_barrier(some(places)))

    return jax.lax.while_loop(going, body, (lanes.starts, state))[1]


def offsets(grid: Grid, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of a tile's pixel centers from its middle."""
    # Constants: computed where they are used, they keep loops over pixels from being vectorized.
    along = np.arange(grid.size, dtype=dtype) + dtype.type((1 - grid.size) / 2)
    return np.tile(along, grid.size), np.repeat(along, grid.size)


def to_image(
    tiles: Float[Array, 'g lanes c p'], order: Int[Array, 'g*lanes'], grid: Grid
) -> Float[Array, 'height width c']:
    """The image whose tiles are in this order."""
    tiles = tiles.reshape(len(order), *tiles.shape[2:])
    tiles = jnp.zeros_like(tiles).at[order].set(tiles, unique_indices=True)[: grid.tiles]
    tiles = tiles.reshape(grid.rows, grid.columns, tiles.shape[1], grid.size, grid.size)
    image = tiles.transpose(0, 3, 1, 4, 2)
    image = image.reshape(grid.rows * grid.size, grid.columns * grid.size, tiles.shape[2])
    return image[: grid.height, : grid.width]


def to_tiles(
    image: Float[Array, 'height width c'], order: Int[Array, 'g*lanes'], grid: Grid
) -> Float[Array, 'g lanes c p']:
    """The inverse of `to_image`, zeros around the image."""
    below, beside = grid.rows * grid.size - grid.height, grid.columns * grid.size - grid.width
    image = jnp.pad(image, ((0, below), (0, beside), (0, 0)))
    channels = image.shape[-1]
    tiles = image.reshape(grid.rows, grid.size, grid.columns, grid.size, channels)
    tiles = tiles.transpose(0, 2, 4, 1, 3).reshape(grid.tiles, channels, grid.size**2)
    tiles = jnp.pad(tiles, ((0, len(order) - grid.tiles), (0, 0), (0, 0)))
    return tiles[order].reshape(-1, lockstep(grid), *tiles.shape[1:])
