"""Proposal networks: cheap densities that learn where the samples of the costly one should lie
(Barron et al. 2022)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.errors import UserError
from jaxcv.radiance import sampling, volume

EPSILON = 1e-7  # of weights that are divided by


class Histogram(NamedTuple):
    """Weights of intervals between edges: both positions s in [0, 1], or both distances."""

    edges: Float[Array, 'r s+1']
    weights: Float[Array, 'r s']


def propose(
    densities: Sequence[Callable[[Float[Array, 'r e']], Float[Array, 'r s']]],
    counts: Sequence[int],
    near: Float[Array, 'r'],
    far: Float[Array, 'r'],
    *,
    keys: Key[Array, 'r'] | None = None,
    spacing: str = 'uniform',
    anneal: float | Float[Array, ''] = 1.0,
) -> tuple[Float[Array, 'r e'], list[Histogram]]:
    """Edges s of counts[-1] intervals, and the histogram of every round that led to them.

    densities   one per round: from edges t to the density in each interval
    counts      how many intervals each round has, then how many the field gets
    anneal      the power of the weights that are drawn from; see `annealing`

    The histograms are differentiable, the edges are not. `sampling.distances` gives t.
    """
    if len(counts) != len(densities) + 1:
        raise UserError(
            f'{len(densities)} proposal networks need {len(densities) + 1} numbers of samples, '
            f'the last for the field, but there are {len(counts)}'
        )
    edges = sampling.stratified(len(near), counts[0], _round(keys, 0))
    rounds = []
    for i, density in enumerate(densities):
        places = sampling.distances(edges, near, far, spacing)
        weights = volume.weigh(density(places), places)
        rounds.append(Histogram(edges, weights))
        powered = jax.lax.stop_gradient(weights) ** anneal
        edges = sampling.resample(edges, powered, counts[i + 1], _round(keys, i + 1))
    return edges, rounds


def annealing(progress: float | Float[Array, ''], slope: float = 10.0) -> float | Float[Array, '']:
    """The power of the proposals' weights, from 0 (even) to 1, as `progress` goes from 0 to 1
    (Barron et al. 2022, section 4: b progress / ((b - 1) progress + 1))."""
    return slope * progress / ((slope - 1) * progress + 1)


def interlevel(field: Histogram, proposal: Histogram) -> Float[Array, 'r']:
    """What the field's weights have beyond their bounds, the sums of the proposal's weights in the
    intervals that they overlap (eq. 13). Only the proposal learns from it."""
    edges, weights = jax.lax.stop_gradient(field)
    below = _below(proposal.weights)
    first = sampling.search(proposal.edges, edges[:, :-1], 'right') - 1
    last = sampling.search(proposal.edges, edges[:, 1:], 'left')
    low, high = (jnp.clip(x, 0, below.shape[-1] - 1) for x in (first, last))
    bound = _at(below, high) - _at(below, low)
    excess = jnp.maximum(weights - bound, 0.0)
    return (jnp.square(excess) / (weights + EPSILON)).sum(axis=-1)


def blurred_interlevel(field: Histogram, proposal: Histogram, radius: float) -> Float[Array, 'r']:
    """What the field's weights, blurred by a box of `radius`, have beyond the proposal's, in the
    proposal's intervals (Barron et al. 2023, section 3.2): smooth in the distance between them, as
    `interlevel` is not. Only the proposal learns from it."""
    field = jax.lax.stop_gradient(field)
    above = _twice_integrated(field, proposal.edges + radius)
    under = _twice_integrated(field, proposal.edges - radius)
    weights = jnp.diff((above - under) / (2 * radius), axis=-1)
    excess = jnp.maximum(jax.lax.stop_gradient(weights) - proposal.weights, 0.0)
    return (jnp.square(excess) / (proposal.weights + EPSILON)).sum(axis=-1)


def _twice_integrated(histogram: Histogram, at: Float[Array, 'r m']) -> Float[Array, 'r m']:
    """The integral of the cumulative distribution: its difference over an interval, divided by the
    length, is the cumulative distribution after a blur by a box."""
    edges, weights = histogram
    width = jnp.diff(edges, axis=-1)
    below = _below(weights)
    twice = _below(width * (below[:, 1:] + below[:, :-1]) / 2)
    density = jnp.where(width > 0, weights / jnp.where(width > 0, width, 1.0), 0.0)
    density = jnp.pad(density, ((0, 0), (0, 1)))  # nothing beyond the last edge
    place = jnp.maximum(sampling.search(edges, at, 'right') - 1, 0)
    passed = jnp.maximum(at - _at(edges, place), 0.0)
    return _at(twice, place) + passed * (_at(below, place) + passed * _at(density, place) / 2)


def _below(x: Float[Array, 'r s']) -> Float[Array, 'r s+1']:
    return jnp.pad(jnp.cumsum(x, axis=-1), ((0, 0), (1, 0)))


def _at(rows, index):
    return jnp.take_along_axis(rows, index, axis=-1, mode='clip')


def _round(keys: Key[Array, 'r'] | None, number: int) -> Key[Array, 'r'] | None:
    return None if keys is None else jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
