"""Gaussians that come and go under static shapes: rows with room for n, of which some are alive.

Rows that are not are never drawn, so that nothing moves them. Whatever an optimizer keeps for each
row (of optax, any tree with `Gaussians` in it) goes along; rows that are new begin with zeros.
"""

from typing import NamedTuple

import jax
import optax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.splats import Splats, activated


class Population(NamedTuple):
    """Room for n Gaussians."""

    gaussians: Gaussians
    opt: optax.OptState
    alive: Bool[Array, 'n']


def populated(gaussians: Gaussians, optimizer: optax.GradientTransformation) -> Population:
    """All alive, nothing learned yet."""
    gaussians = Gaussians(*map(jnp.asarray, gaussians))
    return Population(gaussians, optimizer.init(gaussians), jnp.ones(len(gaussians.means), bool))


def drawn(gaussians: Gaussians, alive: Bool[Array, 'n']) -> Splats:
    """What is to be rasterized: those that are not alive have opacity 0, and no gradient."""
    splats = activated(gaussians)
    return splats._replace(opacities=jnp.where(alive, splats.opacities, 0))


def grown(population: Population, rows: int) -> Population:
    """With room for `rows`; those added are not alive."""

    def longer(x):
        return jnp.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1))

    return Population(
        jax.tree.map(longer, population.gaussians),
        each(lambda kept: jax.tree.map(longer, kept), population.opt),
        longer(population.alive),
    )


def revised(
    population: Population,
    gaussians: Gaussians,
    alive: Bool[Array, 'n'],
    fresh: Bool[Array, 'n'],
) -> Population:
    """Other Gaussians in the rows, of which `fresh` ones forget what the optimizer kept."""

    def zeroed(x):
        return jnp.where(fresh.reshape(-1, *[1] * (x.ndim - 1)), 0, x)

    opt = each(lambda kept: jax.tree.map(zeroed, kept), population.opt)
    return Population(gaussians, opt, alive)


def each(function, opt: optax.OptState) -> optax.OptState:
    """The state of an optimizer with `function` applied to every record of `Gaussians` in it."""

    def change(node):
        return function(node) if isinstance(node, Gaussians) else node

    return jax.tree.map(change, opt, is_leaf=lambda node: isinstance(node, Gaussians))


def offspring(
    alive: Bool[Array, 'n'], parents: Bool[Array, 'n']
) -> tuple[Int[Array, 'n'], Bool[Array, 'n'], Int[Array, '']]:
    """A row that is not alive for every parent, in order: for each row whose values it takes (its
    own, mostly), whether it is born, and how many rows there are too few."""
    count, free = len(alive), ~alive
    rank = jnp.cumsum(free) - 1
    born = free & (rank < parents.sum())
    order = jnp.nonzero(parents, size=count, fill_value=0)[0]
    source = jnp.where(born, order[jnp.clip(rank, 0)], jnp.arange(count))
    return source, born, jnp.maximum(parents.sum() - free.sum(), 0)
