"""What becomes of the number of Gaussians while they are trained: between steps, on the host, which
alone can change how many rows there are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Key

from jaxcv.splat import density, mcmc
from jaxcv.splat.density import Control, Demand
from jaxcv.splat.mcmc import Chain
from jaxcv.splat.population import Population, grown


class Strategy(NamedTuple):
    """`revise(population, demand, step, key) -> (population, demand)` is called every so many
    steps. There are at least `room` rows at first; noise, in rates of the means, comes each step.
    """

    revise: Callable[[Population, Demand, int, Key[Array, '']], tuple[Population, Demand]]
    room: int = 0
    noise: float = 0.0


@dataclass(frozen=True)
class Nothing:
    """The fields of 'none'."""


def controlled(control: Control, extent: float, every: int) -> Strategy:
    """3DGS: as often as that fits no more, there are twice as many rows."""
    change = jax.jit(partial(density.controlled, control=control, extent=extent))
    dim, widen = jax.jit(density.dimmed), jax.jit(grown, static_argnums=1)

    def revise(population, demand, step, key):
        if not control.start <= step < control.stop:
            return population, demand
        large = control.reset_every > 0 and step > control.reset_every
        while True:
            rows = len(population.alive)
            keys = jax.random.split(key, rows)
            changed, overflow = change(population, demand, keys=keys, large=large)
            if not overflow:
                break
            population = widen(population, 2 * rows)
            demand = jax.tree.map(lambda x: jnp.pad(x, (0, len(x))), demand)
        if control.reset_every and step % control.reset_every < every:
            changed = dim(changed)
        return changed, density.nothing(rows)

    return Strategy(revise, control.room)


def sampled(chain: Chain, extent: float, every: int) -> Strategy:
    """3DGS-MCMC."""
    move = jax.jit(partial(mcmc.relocated, faint=chain.faint))
    widen = jax.jit(grown, static_argnums=1)

    def revise(population, demand, step, key):
        if not chain.start <= step < chain.stop:
            return population, demand
        count, rows = int(population.alive.sum()), len(population.alive)
        wanted = count + min(int(chain.growth * count), max(chain.most - count, 0))
        if wanted > rows:
            population = widen(population, max(wanted, min(2 * rows, chain.most)))
        changed = move(population, key, wanted - count)
        return changed, density.nothing(len(changed.alive))

    return Strategy(revise, chain.room, chain.noise)


def unchanged(nothing: Nothing, extent: float, every: int) -> Strategy:
    return Strategy(lambda population, demand, step, key: (population, demand))


# The fields of each, and what it makes of them, the scene's extent, and the steps between calls.
STRATEGIES = {
    'control': (Control, controlled),
    'mcmc': (Chain, sampled),
    'none': (Nothing, unchanged),
}
