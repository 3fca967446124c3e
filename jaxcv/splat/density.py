"""Density control of 3DGS (Kerbl et al. 2023, section 5.2): where the picture asks for more, small
Gaussians are doubled and large ones split; those that are hardly there are removed.

It asks by the gradient of the loss with respect to places on the screen, in units of half the
image, as `rasterize(shift=...)` gives it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.cameras.rotations import product
from jaxcv.splat.covariance import factors
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.population import Population, each, offspring, revised

CHILDREN = 2
SHRINK = 0.8 * CHILDREN  # what the scales of a split Gaussian are divided by
DIM = 0.01  # opacities are reset to at most this


@dataclass(frozen=True)
class Control:
    """What is doubled, split and removed, and in which steps. Lengths are in extents of the
    scene."""

    room: int = 0  # rows at first; twice as many whenever they are too few
    start: int = 500
    stop: int = 15_000
    reset_every: int = 3000  # opacities; 0: never
    gradient: float = 2e-4  # mean length from which on a Gaussian asks for more
    dense: float = 0.01  # longer Gaussians are split, others doubled
    faint: float = 0.005  # opacity below which one is removed
    large: float = 0.1  # and length above which it is, if `large` ones are to be


class Demand(NamedTuple):
    """What the pictures asked of n Gaussians."""

    total: Float[Array, 'n']  # of the gradient's lengths
    views: Float[Array, 'n']  # in which they were seen


def nothing(count: int) -> Demand:
    return Demand(jnp.zeros(count), jnp.zeros(count))


def demand(
    gradient: Float[Array, 'b n 2'], radii: Float[Array, 'b n 2'], width: int, height: int
) -> Demand:
    """Of the images of a batch. `gradient` of each image's own loss, per pixel of shift."""
    halves = jnp.array([width, height], gradient.dtype) / 2
    seen = (radii > 0).all(-1)
    lengths = jnp.linalg.norm(gradient * halves, axis=-1)
    return Demand(jnp.where(seen, lengths, 0).sum(0), seen.sum(0).astype(lengths.dtype))


def controlled(
    population: Population,
    demand: Demand,
    control: Control,
    extent: float | Float[Array, ''],
    keys: Key[Array, 'n'],
    large: bool | Bool[Array, ''] = False,
) -> tuple[Population, Int[Array, '']]:
    """After doubling, splitting and removing, and by how many rows the room is too small: unless
    that is 0, give it more room and start over.

    A copy, and both halves of a split Gaussian, start without moments, whereas the original of a
    copy keeps its own. Halves are drawn from the Gaussian that they come from (`keys`, one per
    row) and are 1.6 times smaller. `large` ones are removed too once opacities have been reset.
    """
    gaussians, alive = population.gaussians, population.alive
    asked = demand.total / jnp.maximum(demand.views, 1) >= control.gradient
    length = jnp.exp(gaussians.log_scales).max(-1)
    parents = alive & asked
    split = parents & (length > control.dense * extent)

    source, born, overflow = offspring(alive, parents)
    gaussians = jax.tree.map(lambda x: x[source], gaussians)
    halves = split[source]  # the parent's row and the new one
    gaussians = jax.tree.map(
        lambda new, old: jnp.where(halves.reshape(-1, *[1] * (old.ndim - 1)), new, old),
        _halves(gaussians, keys),
        gaussians,
    )

    keep = jax.nn.sigmoid(gaussians.opacity_logits) >= control.faint
    length = jnp.exp(gaussians.log_scales).max(-1)
    keep &= ~(large & (length > control.large * extent))
    fresh = born | halves
    return revised(population, gaussians, (alive | born) & keep, fresh), overflow


def _halves(gaussians, keys):
    draw = jax.vmap(lambda key: jax.random.normal(key, (3, 1)))(keys)
    axes = factors(gaussians.rotations, jnp.exp(gaussians.log_scales))
    return gaussians._replace(
        means=gaussians.means + product(axes, draw)[..., 0],
        log_scales=gaussians.log_scales - jnp.log(SHRINK),
    )


def dimmed(population: Population) -> Population:
    """With opacities of at most 0.01, so that those that are needed must show it; the moments of
    opacities start over."""
    highest = jnp.log(DIM / (1 - DIM))

    def forgotten(kept: Gaussians):
        return kept._replace(opacity_logits=jnp.zeros_like(kept.opacity_logits))

    logits = jnp.minimum(population.gaussians.opacity_logits, highest)
    gaussians = population.gaussians._replace(opacity_logits=logits)
    return Population(gaussians, each(forgotten, population.opt), population.alive)
