"""Where a ray is sampled: intervals between edges, spread evenly or drawn from a histogram.

Edges are distances t along the ray, or positions s in [0, 1] that `distances` turns into t. Keys
are one per ray; without keys everything is deterministic.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.errors import choose

LEAST = 1e-5  # the sum of weights below which a histogram is taken as flat


class Spacing(NamedTuple):
    """What samples are spread evenly in: a monotonic function of t, and its inverse."""

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]


SPACINGS = {
    'uniform': Spacing(lambda t: t, lambda x: x),
    'disparity': Spacing(lambda t: 1 / t, lambda x: 1 / x),
    'log': Spacing(jnp.log, jnp.exp),
}


def distances(
    positions: Float[Array, 'r n'],
    near: Float[Array, 'r'],
    far: Float[Array, 'r'],
    spacing: str = 'uniform',
) -> Float[Array, 'r n']:
    """From s in [0, 1] to t in [near, far] (Barron et al. 2022, eq. 11). 'disparity' and 'log' need
    near > 0; 'disparity' takes an infinite `far`."""
    space = _spacing(spacing)
    start, end = space.forward(near)[:, None], space.forward(far)[:, None]
    return space.inverse(positions * end + (1 - positions) * start)


def positions(
    distances: Float[Array, 'r n'],
    near: Float[Array, 'r'],
    far: Float[Array, 'r'],
    spacing: str = 'uniform',
) -> Float[Array, 'r n']:
    """The inverse of `distances`."""
    space = _spacing(spacing)
    start, end = space.forward(near)[:, None], space.forward(far)[:, None]
    return (space.forward(distances) - start) / (end - start)


def stratified(rays: int, count: int, keys: Key[Array, 'r'] | None = None) -> Float[Array, 'r e']:
    """Edges s of `count` intervals that fill [0, 1]; with keys every inner edge is uniform within
    half an interval of its place."""
    edges = jnp.broadcast_to(jnp.linspace(0.0, 1.0, count + 1), (rays, count + 1))
    if keys is None:
        return edges
    shift = (_uniform(keys, count - 1) - 0.5) / count
    return edges.at[:, 1:-1].add(shift)


def paced(
    near: Float[Array, 'r'],
    far: Float[Array, 'r'],
    size: float | Float[Array, 'r'],
    count: int,
    keys: Key[Array, 'r'] | None = None,
) -> Float[Array, 'r e']:
    """Edges t of steps of one size from near to far, then `far` again and again: e = count + 1.

    Where `count` steps of `size` do not reach far, they are longer. With keys the first step is of
    random length, so that the edges of neighboring rays differ.
    """
    reach = jnp.maximum(far - near, 0.0)
    offset = jnp.zeros_like(near) if keys is None else _uniform(keys, 1)[:, 0]
    size = jnp.maximum(size, reach / (count - offset))
    steps = jnp.maximum(jnp.arange(count + 1) - offset[:, None], 0.0)
    return near[:, None] + jnp.minimum(steps * size[:, None], reach[:, None])


# Draws from a histogram


def resample(
    edges: Float[Array, 'r e'],
    weights: Float[Array, 'r s'],
    count: int,
    keys: Key[Array, 'r'] | None = None,
) -> Float[Array, 'r f']:
    """Edges of `count` >= 2 new intervals, f = count + 1, around draws from a histogram.

    Inner edges lie halfway between draws, outer ones as far beyond the first and last draw, but not
    outside the old edges (Barron et al. 2022, section 3). Nothing is differentiated.
    """
    draws, _ = inverse_cdf(edges, weights, count, keys)
    inner = (draws[:, 1:] + draws[:, :-1]) / 2
    first = jnp.maximum(2 * draws[:, :1] - inner[:, :1], edges[:, :1])
    last = jnp.minimum(2 * draws[:, -1:] - inner[:, -1:], edges[:, -1:])
    return jax.lax.stop_gradient(jnp.concatenate([first, inner, last], axis=-1))


def refine(
    edges: Float[Array, 'r e'],
    weights: Float[Array, 'r s'],
    count: int,
    keys: Key[Array, 'r'] | None = None,
) -> Float[Array, 'r f']:
    """The old edges and `count` draws from the histogram, in order, f = e + count: the fine samples
    of Mildenhall et al. 2020, section 5.2. Nothing is differentiated.

    A draw knows its interval, so the two lists merge by counting, without a sort.
    """
    draws, places = inverse_cdf(edges, weights, count, keys)
    row = jnp.arange(len(edges))[:, None]
    drawn = jnp.zeros(edges.shape, jnp.int32).at[row, places + 1].add(1)
    merged = jnp.zeros((len(edges), edges.shape[1] + count), edges.dtype)
    merged = merged.at[row, jnp.arange(edges.shape[1]) + jnp.cumsum(drawn, axis=-1)].set(edges)
    merged = merged.at[row, jnp.arange(count) + places + 1].set(draws)
    return jax.lax.stop_gradient(merged)


def inverse_cdf(
    edges: Float[Array, 'r s+1'],
    weights: Float[Array, 'r s'],
    count: int,
    keys: Key[Array, 'r'] | None = None,
) -> tuple[Float[Array, 'r count'], Int[Array, 'r count']]:
    """Draws in ascending order, and the intervals they fall into: the values at u = (j + v) / count
    of the inverse distribution function of a density that is weight / width in each interval.

    v is uniform in [0, 1) for every draw, or 1/2 without keys. Weights need not sum to 1; edges are
    finite. Nothing is differentiated.
    """
    edges, weights = jax.lax.stop_gradient((edges, weights))
    total = weights.sum(axis=-1, keepdims=True)
    weights = weights + jnp.maximum(LEAST - total, 0.0) / weights.shape[-1]
    below = jnp.pad(jnp.cumsum(weights, axis=-1), ((0, 0), (1, 0)))
    v = 0.5 if keys is None else _uniform(keys, count)
    u = (jnp.arange(count) + v) / count * below[:, -1:]
    places = jnp.clip(search(below, u, 'right') - 1, 0, weights.shape[-1] - 1)
    low, high = _at(edges, places), _at(edges, places + 1)
    mass = jnp.maximum(_at(weights, places), jnp.finfo(weights.dtype).tiny)
    share = jnp.clip((u - _at(below, places)) / mass, 0.0, 1.0)
    return low + share * (high - low), places


def blur(weights: Float[Array, 'r s'], padding: float = 0.01) -> Float[Array, 'r s']:
    """Weights that are wide enough for a second round: each is the mean of the two maxima of itself
    and a neighbor, plus `padding` (Barron et al. 2021, eq. 18)."""
    padded = jnp.pad(weights, ((0, 0), (1, 1)), mode='edge')
    pairs = jnp.maximum(padded[:, 1:], padded[:, :-1])
    return (pairs[:, 1:] + pairs[:, :-1]) / 2 + padding


def search(
    ordered: Float[Array, 'r n'], values: Float[Array, 'r m'], side: str = 'left'
) -> Int[Array, 'r m']:
    """Per ray, how many of `ordered` are below each value (side 'left'), or not above it ('right').

    Binary, with one gather from a flat array per bit: the indices of a vmapped `jnp.searchsorted`
    are large constants, whose folding takes seconds to compile.
    """
    rays, count = ordered.shape
    flat, row = ordered.reshape(-1), count * jnp.arange(rays)[:, None]
    found = jnp.zeros(values.shape, jnp.int32)
    for bit in reversed(range(count.bit_length())):
        more = found + 2**bit
        last = flat[row + jnp.minimum(more, count) - 1]
        below = last < values if side == 'left' else last <= values
        found = jnp.where((more <= count) & below, more, found)
    return found


def _spacing(name: str) -> Spacing:
    return SPACINGS[choose(name, SPACINGS, 'the spacing of samples')]


def _uniform(keys: Key[Array, 'r'], count: int) -> Float[Array, 'r count']:
    return jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)


def _at(rows: Float[Array, 'r n'], index: Int[Array, 'r m']) -> Float[Array, 'r m']:
    return jnp.take_along_axis(rows, index, axis=-1, mode='clip')
