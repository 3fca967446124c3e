"""All of space in a ball of radius 2 (Barron et al. 2022, eq. 10): what lies within 1 stays where
it is, and distance r beyond becomes 2 - 1/r."""

from jax import numpy as jnp
from jaxtyping import Array, Float


def contract(points: Float[Array, '*n 3']) -> Float[Array, '*n 3']:
    """(2 - 1/r) points / r."""
    radius = _radius(points)
    return (2 - 1 / radius) / radius * points


def expand(points: Float[Array, '*n 3']) -> Float[Array, '*n 3']:
    """The inverse of `contract`; radii are below 2."""
    radius = _radius(points)
    return points / (radius * (2 - radius))


def contract_gaussian(
    mean: Float[Array, '*n 3'], covariance: Float[Array, '*n 3 3']
) -> tuple[Float[Array, '*n 3'], Float[Array, '*n 3 3']]:
    """A Gaussian under the contraction, linearized at its mean: covariance J C J^T (eq. 9).

    J = a I + b mean mean^T, so that J C J^T is a few outer products.
    """
    radius = _radius(mean)
    a, b = (2 - 1 / radius) / radius, 2 * (1 - radius) / radius**4
    turned = (covariance * mean[..., None, :]).sum(axis=-1)  # C mean
    along = (mean * turned).sum(axis=-1, keepdims=True)
    # a b (C m m^T + m m^T C) + b^2 (m^T C m) m m^T, as h m^T + m h^T.
    h = a * b * turned + b**2 * along / 2 * mean
    outer = h[..., :, None] * mean[..., None, :]
    return a * mean, a[..., None] ** 2 * covariance + outer + outer.swapaxes(-1, -2)


def _radius(points: Float[Array, '*n 3']) -> Float[Array, '*n 1']:
    """Not below 1, where nothing is contracted: so no derivative fails at 0."""
    square = jnp.square(points).sum(axis=-1, keepdims=True)
    return jnp.sqrt(jnp.maximum(square, 1.0))
