"""How near are two sets of points? Chamfer distance and F-score.

Each point's nearest neighbor is found by looking at all: a few points of one set at a time against
all of the other, so that memory is that of the sets.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

BLOCK = 16  # points that one step compares with all others
TINY = 1e-30


class Comparison(NamedTuple):
    """Of points found with the true ones. Distances are not squared."""

    accuracy: Float[Array, '']  # mean distance of a found point from the nearest true one
    completeness: Float[Array, '']  # mean distance of a true point from the nearest found one
    chamfer: Float[Array, '']  # mean of both
    precision: Float[Array, '']  # share of found points within the threshold of a true one
    recall: Float[Array, '']  # share of true points within the threshold of a found one
    f_score: Float[Array, '']  # harmonic mean of both


def compare(found: Float[Array, 'n 3'], true: Float[Array, 'm 3'], threshold: float) -> Comparison:
    """All measures; chamfer as of DTU (Jensen et al. 2014), F-score as of Tanks and Temples
    (Knapitsch et al. 2017)."""
    forward, backward = distances(found, true), distances(true, found)
    accuracy, completeness = forward.mean(), backward.mean()
    precision, recall = (forward < threshold).mean(), (backward < threshold).mean()
    f_score = 2 * precision * recall / jnp.maximum(precision + recall, TINY)
    chamfer = (accuracy + completeness) / 2
    return Comparison(accuracy, completeness, chamfer, precision, recall, f_score)


def chamfer(a: Float[Array, 'n 3'], b: Float[Array, 'm 3']) -> Float[Array, '']:
    """The mean distance to the nearest point of the other set, averaged over both directions."""
    return (distances(a, b).mean() + distances(b, a).mean()) / 2


def distances(points: Float[Array, 'n 3'], others: Float[Array, 'm 3']) -> Float[Array, 'n']:
    """From every point to the nearest other. Differentiable in both, with derivative 0 at 0."""
    squares = jnp.square(points - others[nearest(points, others)]).sum(-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)


def nearest(points: Float[Array, 'n 3'], others: Float[Array, 'm 3']) -> Int[Array, 'n']:
    """The index of the nearest other point (of equally near ones the first)."""
    points, others = jax.lax.stop_gradient((jnp.asarray(points), jnp.asarray(others)))
    columns = points.T
    # What fills up the last block is infinitely far away.
    missing = -len(others) % BLOCK
    blocks = jnp.pad(others, [(0, missing), (0, 0)], constant_values=jnp.inf)

    def step(best, block):
        square, index = best
        first, rows = block
        for i in range(BLOCK):
            # Differences: |x|² + |y|² - 2 x·y loses the digits of small distances.
            found = sum(jnp.square(x - y) for x, y in zip(columns, rows[i], strict=True))
            nearer = found < square
            square = jnp.where(nearer, found, square)
            index = jnp.where(nearer, first + i, index)
        return (square, index), None

    start = jnp.full(len(points), jnp.inf, points.dtype), jnp.zeros(len(points), jnp.int32)
    firsts = jnp.arange(0, len(blocks), BLOCK, dtype=jnp.int32)
    (_, index), _ = jax.lax.scan(step, start, (firsts, blocks.reshape(-1, BLOCK, others.shape[1])))
    return index
