"""The shape of a Gaussian: Sigma = M M^T with M = R S, its rotation and scales."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.rotations import product, quaternion_to_matrix


def rotation(quaternions: Float[Array, '*b 4']) -> Float[Array, '*b 3 3']:
    """Matrices of quaternions (w, x, y, z) of any length, even those whose squares leave the range
    of floats; 0 is no rotation."""
    length = jnp.abs(jax.lax.stop_gradient(quaternions)).max(-1, keepdims=True)
    identity = jnp.array([1, 0, 0, 0], quaternions.dtype)
    # A rotation does not depend on the length: to divide by a constant changes no gradient.
    within = quaternions / jnp.where(length > 0, length, 1)
    return quaternion_to_matrix(jnp.where(length > 0, within, identity))


def factors(
    rotations: Float[Array, '*b 4'], scales: Float[Array, '*b 3']
) -> Float[Array, '*b 3 3']:
    """M = R S: its columns are the axes, as long as the standard deviations."""
    return rotation(rotations) * scales[..., None, :]


def covariance(
    rotations: Float[Array, '*b 4'], scales: Float[Array, '*b 3']
) -> Float[Array, '*b 3 3']:
    """Sigma = R S S R^T (Kerbl et al. 2023, eq. 6)."""
    axes = factors(rotations, scales)
    return product(axes, axes.swapaxes(-1, -2))
