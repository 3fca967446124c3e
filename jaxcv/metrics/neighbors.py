"""What share of samples is realistic, what share of the data is covered: by nearest neighbors.

Balls around every sample, up to its k-th nearest neighbor on its own side, stand for the manifold
of that side. Precision and recall: Kynkäänniemi et al. 2019. Density and coverage: Naeem et al.
2020. Distances are computed for `block` rows at a time, so that memory is block x n, not n x n.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.errors import UserError

BLOCK = 512


class Overlap(NamedTuple):
    """Scores of fake samples against real ones: 1 is best, density may exceed it."""

    precision: Float[Array, '']  # share of fakes in some real ball
    recall: Float[Array, '']  # share of reals in some fake ball
    density: Float[Array, '']  # real balls around a fake, divided by k, mean over fakes
    coverage: Float[Array, '']  # share of real balls that hold a fake


def overlap(
    real: Float[Array, 'n d'],
    fake: Float[Array, 'm d'],
    k: int = 5,
    *,
    real_valid: Bool[Array, 'n'] | None = None,
    fake_valid: Bool[Array, 'm'] | None = None,
    block: int = BLOCK,
) -> Overlap:
    """Precision, recall, density and coverage with k neighbors; padding rows count nowhere.

    For equal distributions coverage is about 1 - 2^-k at equal counts.
    """
    real_valid, fake_valid = _valid(real, real_valid), _valid(fake, fake_valid)
    # Distances as |x|² + |y|² - 2 x·y lose digits far from the origin.
    center = jnp.where(real_valid[:, None], real, 0).sum(0) / jnp.maximum(real_valid.sum(), 1)
    real, fake = real - center, fake - center
    real_radius = radii(real, k, real_valid, block)
    fake_radius = radii(fake, k, fake_valid, block)

    def rows(balls, slab):
        points, radius, valid = slab
        squares = _squares(points, fake)
        in_real = (squares <= radius[:, None]) & valid[:, None] & fake_valid
        in_fake = (squares <= fake_radius) & valid[:, None] & fake_valid
        return balls + in_real.sum(0), (in_fake.any(1), in_real.any(1))

    slabs = jax.tree.map(lambda x: _slabs(x, block), (real, real_radius, real_valid))
    balls, (recalled, covered) = jax.lax.scan(rows, jnp.zeros(len(fake), jnp.int32), slabs)
    reals, fakes = jnp.maximum(real_valid.sum(), 1), jnp.maximum(fake_valid.sum(), 1)
    return Overlap(
        precision=(balls > 0).sum() / fakes,
        recall=recalled.sum() / reals,
        density=balls.sum() / (k * fakes),
        coverage=covered.sum() / reals,
    )


def radii(
    x: Float[Array, 'n d'],
    k: int,
    valid: Bool[Array, 'n'] | None = None,
    block: int = BLOCK,
) -> Float[Array, 'n']:
    """Squared distance of every row to its k-th nearest other valid row (inf: there is none)."""
    n = len(x)
    if not 1 <= k < n:
        raise UserError(f'{n} samples have no neighbor number {k}: choose k from 1 to {n - 1}')
    valid = _valid(x, valid)

    def rows(slab):
        points, index = slab
        other = valid & (index[:, None] != jnp.arange(n))
        squares = jnp.where(other, _squares(points, x), jnp.inf)
        return _smallest(squares, k)

    found = jax.lax.map(rows, (_slabs(x, block), _slabs(jnp.arange(n), block)))
    return found.reshape(-1)[:n]


def _smallest(x, k):
    """The k-th smallest of each row, equal ones counted."""

    # Passes over the values: XLA's top_k is 60 times slower on CPU.
    def following(_, carry):
        value, count = carry
        greater = jnp.where(x > value[:, None], x, jnp.inf).min(1)
        value = jnp.where(count < k, greater, value)
        return value, (x <= value[:, None]).sum(1)

    start = jnp.full(len(x), -jnp.inf), jnp.zeros(len(x), jnp.int32)
    return jax.lax.fori_loop(0, k, following, start)[0]


def _squares(x, y):
    """Squared distances [n m]."""
    products = jnp.matmul(x, y.T, precision='highest', preferred_element_type=jnp.float32)
    lengths = jnp.square(x).sum(1)[:, None] + jnp.square(y).sum(1)
    return jnp.maximum(lengths - 2 * products, 0.0)


def _slabs(x, block):
    """[n ...] as [blocks block ...], filled up with zeros (False)."""
    block = min(block, len(x))
    missing = -len(x) % block
    x = jnp.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1))
    return x.reshape(-1, block, *x.shape[1:])


def _valid(x, valid):
    return jnp.ones(len(x), bool) if valid is None else valid
