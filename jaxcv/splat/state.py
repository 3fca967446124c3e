"""What training carries from step to step, and how much room there is in it."""

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Int, Int8

from jaxcv.splat import density
from jaxcv.splat.density import Demand
from jaxcv.splat.population import Population, grown
from jaxcv.train.update import TrainState

TOUCHED = 4  # tiles for each Gaussian that there is room for at first
SPARE = 1.1  # how much more room there is than was needed last, for as many Gaussians


@struct.dataclass
class State:
    """Shapes say how much room there is."""

    population: Population
    beside: TrainState
    demand: Demand
    room: Int8[Array, 'bits']  # for 2^bits pairs of a Gaussian and a tile
    pairs: Int[Array, '']  # the most that were needed since the last change of density
    step: Int[Array, '']

    @property
    def capacity(self) -> int:
        return 2 ** len(self.room)


def started(population: Population, beside: TrainState, rows: int) -> State:
    """With room for `rows` Gaussians, or those that there are."""
    rows = max(len(population.alive), rows)
    room, zero = jnp.zeros((TOUCHED * rows - 1).bit_length(), jnp.int8), jnp.int32(0)
    return State(grown(population, rows), beside, density.nothing(rows), room, zero, zero)


def changed(state: State, population: Population, demand: Demand) -> State:
    """With other Gaussians, and room for the pairs that they may need: on the host."""
    growth = population.alive.sum() / jnp.maximum(state.population.alive.sum(), 1)
    needed, bits = SPARE * float(growth) * int(state.pairs), len(state.room)
    while 2**bits < needed:
        bits += 1
    room, pairs = jnp.zeros(bits, jnp.int8), jnp.zeros_like(state.pairs)
    return state.replace(population=population, demand=demand, room=room, pairs=pairs)


def unless(overflow: Array, after: State, before: State) -> State:
    """`after`, but of what is learned `before` where there was too little room."""
    learned = [(each.population, each.beside, each.demand) for each in (before, after)]
    kept = jax.tree.map(lambda old, new: jnp.where(overflow, old, new), *learned)
    return after.replace(**dict(zip(('population', 'beside', 'demand'), kept, strict=True)))
