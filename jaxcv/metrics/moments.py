"""Mean and covariance of features that come in batches, as sums that add.

total = moments(first batch, origin=point)       # add those of all batches, leaf by leaf
gaussian = frechet.from_moments(merged(...), point)

Sums add over batches and over devices (`jaxcv.ops.across.sum`) alike. They are taken about an
`origin`: float32 sums of raw squares would lose the covariance of features whose mean is many
standard deviations from zero.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float


class Moments(NamedTuple):
    """Sums over samples of 1, y and y yᵀ, where y = features - origin."""

    count: Float[Array, '']
    total: Float[Array, 'd']
    products: Float[Array, 'd d']


def moments(
    features: Float[Array, 'n d'],
    valid: Bool[Array, 'n'] | None = None,
    origin: Float[Array, 'd'] | float = 0.0,
) -> Moments:
    """The sums of one batch about `origin`, a point near the mean: that of the real features, or
    of the first batch. Rows where `valid` is False are padding."""
    y = features.astype(jnp.float32) - origin
    valid = jnp.ones(len(y), bool) if valid is None else valid
    y = jnp.where(valid[:, None], y, 0.0)
    # 'highest', or a GPU multiplies in TF32, with 10 bits of the 23.
    products = jnp.matmul(y.T, y, precision='highest')
    return Moments(valid.sum().astype(jnp.float32), y.sum(0), products)


def merged(*parts: Moments) -> Moments:
    """The sums of several batches, all about the same origin."""
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *parts)


def mean_and_covariance(
    sums: Moments, origin: Float[Array, 'd'] | float = 0.0
) -> tuple[Float[Array, 'd'], Float[Array, 'd d']]:
    """Mean, and covariance with the divisor count - 1. Sums kept by the host as float64 are
    centered in float64."""
    xp = np if isinstance(sums.total, np.ndarray) else jnp
    mean = sums.total / sums.count
    scatter = sums.products - sums.count * mean[:, None] * mean
    return mean + origin, scatter / xp.maximum(sums.count - 1, 1)
