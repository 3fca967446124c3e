"""Features on planes through a box, and what keeps them smooth.

A plane is an array [i j f] over two of the axes (x, y, z, t) of [-1, 1]^4, in that order. The
regularizers are those of K-planes (Fridovich-Keil et al. 2023).
"""

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.radiance.fields.grid import interpolate

SPACE = ((0, 1), (0, 2), (1, 2))
TIME = ((0, 3), (1, 3), (2, 3))


def project(
    plane: Float[Array, 'i j f'], positions: Float[Array, 'n d'], axes: tuple[int, int]
) -> Float[Array, 'n f']:
    """The plane's features at positions of which it sees two axes."""
    cells = plane.shape[0] - 1, plane.shape[1] - 1
    return interpolate(plane.reshape(-1, plane.shape[-1]), positions[:, jnp.array(axes)], cells)


def plane_variation(
    plane: Float[Array, 'i j f'], along: tuple[int, ...] = (0, 1)
) -> Float[Array, '']:
    """Mean square of the differences between neighbors, summed over the axes `along` which."""
    return sum(jnp.square(jnp.diff(plane, axis=axis)).mean() for axis in along)


def time_smoothness(plane: Float[Array, 'i t f']) -> Float[Array, '']:
    """Mean square of the second differences in time; there must be 3 nodes in time."""
    return jnp.square(jnp.diff(plane, n=2, axis=1)).mean()


def time_sparsity(plane: Float[Array, 'i t f']) -> Float[Array, '']:
    """Mean distance from 1, at which a plane of time leaves the static scene alone."""
    return jnp.abs(1 - plane).mean()
