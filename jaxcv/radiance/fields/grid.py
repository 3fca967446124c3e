"""Linear interpolation between the nodes of a grid whose values are rows of a table: the one lookup
of hash grids, voxels and planes.

A cell has 2^d corners. Forward, each is one gather of a whole row, and what lies between the
gathers is fused: nothing of size [n, 2^d, f] is ever stored.
"""

import itertools
import math
from collections.abc import Sequence
from functools import partial, reduce
from operator import mul, xor

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError
from jaxcv.ops.rows import add_rows, take_rows

PRIMES = (1, 2654435761, 805459861)  # Müller et al. 2022, eq. 4


def interpolate(
    table: Float[Array, 'rows f'], positions: Float[Array, 'n d'], cells: Sequence[int]
) -> Float[Array, 'n f']:
    """Values between the nodes of a grid with `cells` cells along each axis of [-1, 1]^d;
    positions outside have the value of the nearest point of the box.

    A grid of prod(cells + 1) nodes that fits the table is dense: its values are the table of an
    array [cells0+1, cells1+1, ..., f]. A larger one is hashed: a node's row is the XOR of its
    coordinates times `PRIMES`, modulo the number of rows, a power of two (Müller et al. 2022).

    Gradients with respect to positions are exact within cells, 0 across the sides of the box."""
    cells = tuple(cells)
    if positions.shape[-1] != len(cells):
        raise UserError(
            f'positions have {positions.shape[-1]} coordinates, but the grid has {len(cells)} axes'
        )
    rows = len(table)
    if hashed(cells, rows) and (rows & (rows - 1) or len(cells) > len(PRIMES)):
        raise UserError(
            f'a grid of {cells} cells does not fit {rows} rows and cannot be hashed into them: '
            f'use a power of two of rows and at most {len(PRIMES)} axes'
        )
    return lookup(table, positions, cells)


def nodes(cells: Sequence[int]) -> int:
    return math.prod(count + 1 for count in cells)


def hashed(cells: Sequence[int], rows: int) -> bool:
    return nodes(cells) > rows


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def lookup(table, positions, cells):
    places, fractions = locate(positions, cells)
    weights = products(between(fractions))
    rows = corners(places, cells, len(table))
    return sum(w[:, None] * take_rows(table, r) for w, r in zip(weights, rows, strict=True))


def lookup_forward(table, positions, cells):
    return lookup(table, positions, cells), (table, positions)


def lookup_backward(cells, residuals, gradient):
    table, positions = residuals
    found = position_gradient(table, positions, gradient, cells)
    return table_gradient(table, positions, gradient, cells), found.astype(positions.dtype)


lookup.defvjp(lookup_forward, lookup_backward)


def locate(positions, cells):
    """Per axis, the lower corner of the cell (uint32 [n]) and how far along it is ([n])."""
    places, fractions = [], []
    for x, count in zip(positions.T, cells, strict=True):
        x = jnp.clip((x + 1) * (0.5 * count), 0, count)
        low = jnp.minimum(jnp.floor(x), count - 1)
        places.append(low.astype(jnp.int32).astype(jnp.uint32))
        fractions.append(x - low)
    return places, fractions


def row_of(node, cells, rows):
    """The row of the table, int32 [n], of the node with these coordinates, uint32 [n] per axis."""
    if hashed(cells, rows):
        mixed = reduce(xor, (x * np.uint32(p) for x, p in zip(node, PRIMES, strict=False)))
        return (mixed & np.uint32(rows - 1)).astype(jnp.int32)
    strides = [np.uint32(nodes(cells[i + 1 :])) for i in range(len(cells))]
    return sum(x * stride for x, stride in zip(node, strides, strict=True)).astype(jnp.int32)


def corners(places, cells, rows):
    """The rows of the 2^d corners; the last axis varies fastest."""
    ends = [(place, place + np.uint32(1)) for place in places]
    return [row_of(node, cells, rows) for node in itertools.product(*ends)]


def between(fractions):
    """Per axis, the weights of its lower and upper node."""
    return [(1 - fraction, fraction) for fraction in fractions]


def products(pairs):
    """The weights of the corners, in the order of `corners`."""
    return [reduce(mul, corner) for corner in itertools.product(*pairs)]


def position_gradient(table, positions, gradient, cells):
    """The weights are linear along each axis: the derivative replaces (1 - f, f) by (-1, 1)."""
    places, fractions = locate(positions, cells)
    rows = corners(places, cells, len(table))
    values = [(take_rows(table, row) * gradient).sum(-1) for row in rows]
    pairs, ones = between(fractions), jnp.ones_like(fractions[0])
    found = []
    for axis, count in enumerate(cells):
        weights = products([*pairs[:axis], (-ones, ones), *pairs[axis + 1 :]])
        slope = sum(w * value for w, value in zip(weights, values, strict=True))
        inside = jnp.abs(positions[:, axis]) <= 1
        found.append(jnp.where(inside, 0.5 * count * slope, 0.0))
    return jnp.stack(found, -1)


def table_gradient(table, positions, gradient, cells):
    """One corner at a time, in a loop: all at once takes 2^d times the memory, and on a CPU up to
    twice the time."""
    places, fractions = locate(positions, cells)

    def add_corner(total, corner):
        node = [place + end for place, end in zip(places, corner, strict=True)]
        ends = zip(corner, between(fractions), strict=True)
        weight = reduce(mul, (jnp.where(end == 1, high, low) for end, (low, high) in ends))
        return add_rows(total, row_of(node, cells, len(table)), weight[:, None] * gradient), None

    ends = np.array(list(itertools.product((0, 1), repeat=len(cells))), np.uint32)
    return jax.lax.scan(add_corner, jnp.zeros_like(table), ends)[0]
