"""The part of a pixel's cone between two distances, as a Gaussian (mip-NeRF)."""

from typing import NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float


class Gaussian(NamedTuple):
    mean: Float[Array, '*n 3']
    variance: Float[Array, '*n 3']  # the diagonal of the covariance


def conical_frustum(
    origins: Float[Array, '*n 3'],
    directions: Float[Array, '*n 3'],
    start: Float[Array, '*n'],
    stop: Float[Array, '*n'],
    radius: Float[Array, '*n'],
) -> Gaussian:
    """Mean and variances of the points of a frustum at `start` to `stop` times the direction, whose
    radius is `radius` at 1: for a pixel, 2/sqrt(12) of its width at distance 1.

    Barron et al. 2021, eqs. 7, 8 and 16: written with the middle and the half width, which lose no
    digits where the frustum is short. start >= 0 and stop > 0."""
    middle, half = (start + stop) / 2, (stop - start) / 2
    middle2, half2 = jnp.square(middle), jnp.square(half)
    whole = 3 * middle2 + half2
    ratio = half2 / whole  # at most 1/4, when the frustum is a whole cone
    distance = middle + 2 * middle * ratio
    along = half2 / 3 - 4 / 15 * jnp.square(ratio) * (12 * middle2 - half2)
    across = jnp.square(radius) * (middle2 / 4 + 5 / 12 * half2 - 4 / 15 * half2 * ratio)
    squares = jnp.square(directions)
    shares = squares / squares.sum(-1, keepdims=True)
    return Gaussian(
        mean=origins + distance[..., None] * directions,
        variance=along[..., None] * squares + across[..., None] * (1 - shares),
    )
