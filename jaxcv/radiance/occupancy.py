"""What is known to be empty: a grid of densities, and rays that skip its empty cells.

Level 0 of the grid covers a box; each further level has the same number of cells and covers a box
twice as wide about the same center (Müller et al. 2022, appendix E). A point is looked up in the
finest level that holds it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.cameras.boxes import span
from jaxcv.radiance import packed as packing
from jaxcv.radiance.chunks import by_chunks
from jaxcv.radiance.packed import Packed
from jaxcv.radiance.volume import intervals

ROUNDING = 1e-4  # of a mean, more than enough
CHUNK = 2**18  # points whose density is asked for at a time


class Occupancy(NamedTuple):
    """l levels of n^3 cells. `low` and `high` are corners of the box of level 0."""

    density: Float[Array, 'l n n n']  # the highest seen lately in each cell
    occupied: Bool[Array, 'l n n n']
    low: Float[Array, '3']
    high: Float[Array, '3']


def unknown(
    low: Float[Array, '3'], high: Float[Array, '3'], cells: int, levels: int = 1
) -> Occupancy:
    """The grid before its first update: everything may be occupied."""
    shape = (levels, cells, cells, cells)
    low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    return Occupancy(jnp.zeros(shape), jnp.ones(shape, bool), low, high)


def bounds(occupancy: Occupancy) -> tuple[Float[Array, '3'], Float[Array, '3']]:
    """(low, high) of the last level, which holds all others."""
    center, half = _center(occupancy), _half(occupancy) * 2 ** (len(occupancy.density) - 1)
    return center - half, center + half


def update(
    occupancy: Occupancy,
    density: Callable[[Float[Array, 'm 3']], Float[Array, 'm']],
    key: Key[Array, ''],
    *,
    cells: int | None = None,
    decay: float = 0.95,
    threshold: float = 0.01,
) -> Occupancy:
    """Asks for the density at a random point of each cell, or of `cells` of them: half of these
    uniformly drawn, half from the occupied ones. Train with all cells for the first steps.

    A cell's density becomes the larger of the new one and `decay` times the old one; it is occupied
    above `threshold`, or where the mean is less than that, from the mean on. A threshold of 0.01
    divided by the size of a step keeps what is more than 1% opaque.
    """
    shape, total = occupancy.density.shape, occupancy.density.size
    choice, jitter = jax.random.split(key)
    old = occupancy.density.reshape(-1)
    index = jnp.arange(total) if cells is None else _some(occupancy, cells, choice)
    inside = jax.random.uniform(jitter, (len(index), 3))
    new = by_chunks(density, _points(occupancy, index, inside), CHUNK)
    if cells is None:
        latest = jnp.maximum(new, decay * old)
    else:
        seen = jnp.full(total, -jnp.inf).at[index].max(new)
        latest = jnp.where(seen >= 0, jnp.maximum(seen, decay * old), old)
    occupied = latest > jnp.minimum(threshold, (1 - ROUNDING) * latest.mean())
    return occupancy._replace(density=latest.reshape(shape), occupied=occupied.reshape(shape))


def lookup(
    occupancy: Occupancy, points: Float[Array, '*n 3']
) -> tuple[Bool[Array, '*n'], Bool[Array, '*n']]:
    """(whether a point's cell is occupied, whether it lies in the grid at all)."""
    return _lookup(occupancy, *jnp.moveaxis(points, -1, 0))


def march(
    occupancy: Occupancy,
    origins: Float[Array, 'r 3'],
    directions: Float[Array, 'r 3'],
    edges: Float[Array, 'r s+1'],
    capacity: int,
) -> tuple[Packed, Int[Array, 'r']]:
    """The steps between `edges` whose centers, where fields are asked, lie in occupied cells; and
    for each ray how many lie outside of the grid and are lost for that.

    Edges are best those of `sampling.paced` between the distances of `intersect`. Steps of no width
    are none.
    """
    width, center = intervals(edges)
    # One array per coordinate: 3 is a poor length for the inner loop of a CPU.
    points = (origins[:, i, None] + center * directions[:, i, None] for i in range(3))
    occupied, inside = _lookup(occupancy, *points)
    outside = (~inside & (width > 0)).sum(axis=-1)
    return packing.pack(occupied & (width > 0), edges, capacity), outside


def intersect(
    origins: Float[Array, 'r 3'],
    directions: Float[Array, 'r 3'],
    low: Float[Array, '3'],
    high: Float[Array, '3'],
) -> tuple[Float[Array, 'r'], Float[Array, 'r']]:
    """(near, far) of rays in a box, both >= 0; equal for rays that miss it."""
    near, far = span(origins, directions, low, high)
    return near, jnp.maximum(far, near)


def _lookup(occupancy, *points: Float[Array, '*n']):
    levels, cells = occupancy.density.shape[:2]
    center, half = _center(occupancy), _half(occupancy)
    place = [(points[i] - center[i]) / half[i] for i in range(3)]  # level 0 is [-1, 1]^3
    reach = jnp.maximum(jnp.maximum(*map(jnp.abs, place[:2])), jnp.abs(place[2]))
    inside, index = reach <= 2 ** (levels - 1), 0
    if levels > 1:
        index = sum((reach > 2**level).astype(jnp.int32) for level in range(levels - 1))
        place = [x * jnp.exp2(-index.astype(x.dtype)) for x in place]
    for x in place:
        cell = ((x + 1) * (cells / 2)).astype(jnp.int32)
        index = index * cells + jnp.clip(cell, 0, cells - 1)
    return inside & occupancy.occupied.reshape(-1)[index], inside


def _some(occupancy: Occupancy, count: int, key: Key[Array, '']) -> Int[Array, 'count']:
    """Cells, some of them perhaps twice."""
    anywhere, among = jax.random.split(key)
    total = occupancy.density.size
    uniform = jax.random.randint(anywhere, (count - count // 2,), 0, total)
    places, known = packing.marked(occupancy.occupied.reshape(-1), total)
    nth = jax.random.randint(among, (count // 2,), 0, jnp.maximum(known, 1))
    return jnp.concatenate([uniform, places[nth]])


def _points(
    occupancy: Occupancy, index: Int[Array, 'm'], inside: Float[Array, 'm 3']
) -> Float[Array, 'm 3']:
    """At a place in [0, 1]^3 of each cell."""
    cells = occupancy.density.shape[1]
    level = index // cells**3
    cell = jnp.stack([index // cells**2, index // cells, index], axis=-1) % cells
    place = (cell + inside) * (2 / cells) - 1
    scale = jnp.exp2(level.astype(place.dtype))[:, None]
    return _center(occupancy) + _half(occupancy) * scale * place


def _center(occupancy: Occupancy) -> Float[Array, '3']:
    return (occupancy.low + occupancy.high) / 2


def _half(occupancy: Occupancy) -> Float[Array, '3']:
    return (occupancy.high - occupancy.low) / 2
