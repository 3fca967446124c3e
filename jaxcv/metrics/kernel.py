"""Kernel distance (KID; Bińkowski et al. 2018): unbiased squared maximum mean discrepancy.

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y),    k(a, b) = (a·b / d + 1)³

with x, x' and y, y' different samples, so that its expectation does not depend on their number:
it is 0 for equal distributions, and estimates may be negative.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.errors import UserError


class KernelDistance(NamedTuple):
    """Mean over subsets, and its standard error."""

    value: Float[Array, '']
    error: Float[Array, '']


def kernel_distance(
    x: Float[Array, 'n d'],
    y: Float[Array, 'm d'],
    key: Key[Array, ''],
    subsets: int = 100,
    size: int = 1000,
) -> KernelDistance:
    """Mean of `discrepancy` over random subsets of `size` samples of each side (at most all).

    Subsets are disjoint as long as they last; then samples are dealt anew. The standard error
    takes the subsets for independent, so it is honest while subsets * size does not exceed n and m.
    """
    size = min(size, len(x), len(y))
    if size < 2 or subsets < 2:
        raise UserError(f'a kernel distance needs 2 subsets of 2 samples, not {subsets} of {size}')
    keys = jax.random.split(key)
    x, y = jnp.asarray(x), jnp.asarray(y)
    rows = _deal(keys[0], len(x), subsets, size), _deal(keys[1], len(y), subsets, size)
    values = jax.lax.map(lambda rows: discrepancy(x[rows[0]], y[rows[1]]), rows)
    return KernelDistance(values.mean(), values.std(ddof=1) / subsets**0.5)


def discrepancy(x: Float[Array, 'n d'], y: Float[Array, 'm d']) -> Float[Array, '']:
    """Unbiased MMD² of all pairs; memory n², m² and n m."""
    cross = polynomial(x, y)
    # A constant less in every kernel leaves MMD² as it is and spares its digits.
    center = jax.lax.stop_gradient(cross.mean(1).mean())
    own = _others(polynomial(x, x) - center) + _others(polynomial(y, y) - center)
    return own - 2 * (cross - center).mean(1).mean()


def polynomial(x: Float[Array, 'n d'], y: Float[Array, 'm d']) -> Float[Array, 'n m']:
    """k(a, b) = (a·b / d + 1)³, in full float32 on every machine."""
    products = jnp.matmul(x, y.T, precision='highest', preferred_element_type=jnp.float32)
    return (products / x.shape[1] + 1) ** 3


def _others(kernel):
    """Mean over pairs of different samples."""
    n = len(kernel)
    rows = jnp.where(jnp.eye(n, dtype=bool), 0.0, kernel).sum(1)
    return (rows / (n - 1)).mean()


def _deal(key, n, subsets, size) -> Int[Array, 'subsets size']:
    """Row numbers of subsets, dealt from shuffled samples."""
    each = n // size
    rounds = jax.random.split(key, -(-subsets // each))
    rows = jax.lax.map(lambda key: jax.random.permutation(key, n)[: each * size], rounds)
    return rows.reshape(-1, size)[:subsets]
