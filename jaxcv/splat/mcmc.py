"""Gaussians as samples (3DGS-MCMC, Kheradmand et al. 2024): noise lets them explore, those that
are no longer seen move to where others are, and their number is given.

What moves does not change the picture: N Gaussians in the place of one have together its opacity
at the center and its integral across.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.cameras.rotations import product
from jaxcv.splat.covariance import covariance
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.population import Population, revised

FAINT = 0.005  # opacity of what is no longer seen
SHARPNESS = 100.0  # of the gate that keeps noise from what is opaque
REACH, NODES = 6.0, 48  # of the trapezoidal rule, exact to rounding for such integrands
OPAQUEST = 1 - 1e-6


@dataclass(frozen=True)
class Chain:
    """How the number grows, in which steps Gaussians move, and how strong noise is."""

    room: int = 0  # rows at first; twice as many whenever they are too few
    start: int = 500
    stop: int = 25_000
    most: int = 1_000_000
    growth: float = 0.05  # share of the number that is added each time
    noise: float = 5e5  # in rates of the means
    faint: float = FAINT  # opacity up to which a Gaussian counts as no longer seen, and moves


def shared(
    opacity: Float[Array, '*n'], count: Int[Array, '*n']
) -> tuple[Float[Array, '*n'], Float[Array, '*n']]:
    """The opacity of each of `count` Gaussians in the place of one, and what to multiply its
    scales with (Kheradmand et al. 2024, eq. 9).

    With o' = 1 - (1 - o)^(1/N), the double sum of eq. 9 is the integral across N Gaussians on top
    of each other, of 1 - (1 - o' exp(-t²))^N, divided by sqrt(pi): we integrate, because the sum's
    binomials leave the range of floats.
    """
    opacity = jnp.clip(opacity, 0, OPAQUEST)
    each = -jnp.expm1(jnp.log1p(-opacity) / count)
    step = REACH / NODES
    bell = np.exp(-np.square(step * np.arange(NODES), dtype=np.float32))
    weight = np.where(np.arange(NODES) == 0, step, 2 * step).astype(np.float32)
    through = count[..., None] * jnp.log1p(-each[..., None] * bell)
    across = (-jnp.expm1(through) * weight).sum(-1)
    return each, opacity * np.float32(np.pi**0.5) / jnp.where(across > 0, across, 1)


def relocated(
    population: Population,
    key: Key[Array, ''],
    added: int | Int[Array, ''] = 0,
    faint: float = FAINT,
) -> Population:
    """Those that are hardly seen, and the first `added` rows that are not alive, move to the places
    of others, drawn by opacity, and share with them. What shares starts without moments."""
    gaussians, alive = population.gaussians, population.alive
    opacity = jax.nn.sigmoid(gaussians.opacity_logits)
    stay = alive & (opacity > faint)
    move = (alive & ~stay) | (~alive & (jnp.cumsum(~alive) <= added))
    move &= stay.any()  # otherwise there is nowhere to go
    source = jnp.where(move, _chosen(jnp.where(stay, opacity, 0), key), jnp.arange(len(alive)))

    count = jnp.zeros(len(alive), jnp.int32).at[source].add(move.astype(jnp.int32))
    shares = count > 0
    each, factor = shared(opacity, count + 1)
    logit = jnp.maximum(jnp.log(each) - jnp.log1p(-each), _logit(faint))
    told = gaussians._replace(
        opacity_logits=jnp.where(
            shares, jnp.maximum(logit, _logit(faint)), gaussians.opacity_logits
        ),
        log_scales=gaussians.log_scales + jnp.where(shares, jnp.log(factor), 0)[:, None],
    )
    told = jax.tree.map(lambda x: x[source], told)
    return revised(population, told, alive | move, move | shares)


def _chosen(weights, key):
    """For each row a row, with probabilities as the weights."""
    ends = jnp.cumsum(weights)
    draws = jax.random.uniform(key, ends.shape) * ends[-1]
    found = jnp.searchsorted(ends, draws, side='right')
    # Rounding may lead beyond the last.
    last = len(weights) - 1 - jnp.argmax(weights[::-1] > 0)
    return jnp.minimum(found, last)


def _logit(x):
    return float(np.log(x / (1 - x)))


def disturbed(
    gaussians: Gaussians, key: Key[Array, ''], size: float | Float[Array, '']
) -> Gaussians:
    """Means with noise: size · covariance · sigmoid(100 (0.005 - opacity)) · normal (eq. 8)."""
    opacity = jax.nn.sigmoid(gaussians.opacity_logits)
    gate = jax.nn.sigmoid(SHARPNESS * (FAINT - opacity))
    draw = jax.random.normal(key, gaussians.means.shape) * (size * gate)[:, None]
    shape = covariance(gaussians.rotations, jnp.exp(gaussians.log_scales))
    return gaussians._replace(means=gaussians.means + product(shape, draw[..., None])[..., 0])
