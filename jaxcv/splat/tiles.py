"""Which Gaussians touch which tiles of the image: for every tile a list, front to back.

A Gaussian touches a tile if alpha >= 1/255 may hold somewhere between the centers of its outer
pixels. That region is an ellipse, smaller for lower opacities. It is cut into spans, one for each
row of tiles, and spans into tiles: an oblique needle touches few of the tiles in its box.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.splat.projection import FAINT, Projected

SIZE = 8  # pixels along a side of a tile
SLACK = 1e-3  # so that no rounding hides a pixel: what is drawn is decided there
MANY = 2**30 - 1  # where counts saturate


class Grid(NamedTuple):
    """An image as rows of square tiles, the last of which may reach beyond it. Static."""

    width: int
    height: int
    size: int = SIZE

    @property
    def columns(self) -> int:
        return -(-self.width // self.size)

    @property
    def rows(self) -> int:
        return -(-self.height // self.size)

    @property
    def tiles(self) -> int:
        return self.rows * self.columns


class Lists(NamedTuple):
    """Tile t (row by row) is touched by the Gaussians members[bounds[t]:bounds[t + 1]], front to
    back. They take `pairs` of the capacity, and at least as many if that is too small: then by
    `overflow` at least."""

    members: Int[Array, 'capacity']
    bounds: Int[Array, 'tiles+1']
    pairs: Int[Array, '']
    overflow: Int[Array, '']


def radii(projected: Projected) -> Float[Array, 'n 2']:
    """Half the width and height in pixels of the box around alpha >= 1/255; 0: not seen."""
    a, b, c = jnp.moveaxis(projected.roots, -1, 0)
    reach = _reach(projected.opacities)
    x = reach * jnp.sqrt(1 + jnp.square(b / c)) / a
    return jnp.stack([x, reach / c], axis=-1)


def _reach(opacities):
    """How many standard deviations from its mean a Gaussian is drawn."""
    return jnp.sqrt(2 * jnp.log(jnp.maximum(opacities / FAINT, 1)))


def intersect(projected: Projected, grid: Grid, capacity: int) -> Lists:
    """The lists, with room for `capacity` pairs of a Gaussian and a tile (or row of tiles) in all.
    Gaussians of equal depth keep their order."""
    projected = jax.lax.stop_gradient(projected)
    hidden = projected.opacities < FAINT
    order = jnp.argsort(jnp.where(hidden, jnp.inf, projected.depths), stable=True)
    projected = jax.tree.map(lambda x: x[order], projected)

    top, rows = _rows(projected, grid)
    owner, row, spans = expand(rows, capacity)
    row = row + top[owner]
    left, columns = _columns(jax.tree.map(lambda x: x[owner], projected), row, grid)
    columns = jnp.where(jnp.arange(capacity) < spans, columns, 0)
    span, column, total = expand(columns, capacity)
    tile = row[span] * grid.columns + left[span] + column
    tile = jnp.where(jnp.arange(capacity) < total, tile, grid.tiles)

    tile, rank = _by_tile(tile, owner[span], grid.tiles, len(order))
    bounds = jnp.searchsorted(tile, jnp.arange(grid.tiles + 1)).astype(jnp.int32)
    pairs = jnp.maximum(spans, total)
    return Lists(order[rank], bounds, pairs, jnp.maximum(pairs - capacity, 0))


def expand(
    counts: Int[Array, 'n'], capacity: int
) -> tuple[Int[Array, 'capacity'], Int[Array, 'capacity'], Int[Array, '']]:
    """Every index i repeated counts[i] times, which repetition each is, and how many there are in
    all. Beyond that many, and beyond the capacity, entries mean nothing."""
    ends = jax.lax.associative_scan(lambda a, b: jnp.minimum(a + b, MANY), counts)
    starts = ends - counts
    places = jnp.where(counts > 0, starts, capacity)
    indices = jnp.arange(len(counts), dtype=jnp.int32)
    marks = jnp.zeros(capacity, jnp.int32).at[places].max(indices, mode='drop')
    owner = jax.lax.cummax(marks)
    return owner, jnp.arange(capacity) - starts[owner], ends[-1]


def _rows(projected, grid):
    """The first row of tiles that each Gaussian touches, and how many."""
    box = radii(projected) + SLACK
    low, high = projected.means - box, projected.means + box
    first, last = _tiles(low[:, 1], high[:, 1], grid.rows, grid.size)
    inside = (high[:, 0] > 0) & (low[:, 0] < grid.width) & (projected.opacities >= FAINT)
    return first, jnp.where(inside, jnp.maximum(last - first + 1, 0), 0)


def _columns(projected, row, grid):
    """The first tile that each Gaussian touches in a row, and how many."""
    a, b, c = jnp.moveaxis(projected.roots, -1, 0)
    x, y = projected.means[:, 0], projected.means[:, 1]
    reach = _reach(projected.opacities) + SLACK
    top = row * grid.size + 0.5 - y
    # The ellipse reaches farthest to the right at -farthest, to the left at farthest.
    farthest = reach * b / (c * jnp.sqrt(b * b + c * c))
    height = reach / c

    def edge(at, side):
        at = jnp.clip(jnp.clip(at, top, top + grid.size - 1), -height, height)
        half = jnp.sqrt(jnp.maximum(jnp.square(reach) - jnp.square(c * at), 0))
        return x + (side * half - b * at) / a + side * SLACK

    first, last = _tiles(edge(farthest, -1), edge(-farthest, 1), grid.columns, grid.size)
    return first, jnp.maximum(last - first + 1, 0)


def _tiles(low, high, count, size):
    """The first and last tile with a pixel center in [low, high]; last < first: none."""
    first = jnp.ceil((low - size + 0.5) / size)
    last = jnp.floor((high - 0.5) / size)
    return (
        jnp.clip(first, 0, count).astype(jnp.int32),
        jnp.clip(last, -1, count - 1).astype(jnp.int32),
    )


def _by_tile(tile, rank, tiles, ranks):
    """Pairs sorted by tile; they come in the order of ranks. One packed key sorts several times
    faster than a pair."""
    bits = max(ranks - 1, 1).bit_length()
    if (tiles + 1) << bits <= 1 << 32:
        keys = jnp.sort(tile.astype(jnp.uint32) << bits | rank.astype(jnp.uint32))
        return (keys >> bits).astype(jnp.int32), (keys & (1 << bits) - 1).astype(jnp.int32)
    return jax.lax.sort((tile, rank), num_keys=1, is_stable=True)
