"""What is drawn: disks with their scales and opacities as they are."""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.splats import Splats

THIN = 1e-2  # a disk's thickness over its radius, where it is stored as a Gaussian


class Surfels(NamedTuple):
    """n disks to draw.

    means      centers in the world
    rotations  quaternions (w, x, y, z) of any length: the disk lies along the first two axes, its
               normal is the third, towards either side
    scales     standard deviations along the first two axes, >= 0
    opacities  in [0, 1]
    colors     as those of `Splats`
    """

    means: Float[Array, 'n 3']
    rotations: Float[Array, 'n 4']
    scales: Float[Array, 'n 2']
    opacities: Float[Array, 'n']
    colors: Float[Array, 'n c'] | Float[Array, 'n k c']


def flat(splats: Splats) -> Surfels:
    """Gaussians without their thickness."""
    return Surfels(*splats._replace(scales=splats.scales[..., :2]))


def flattened(gaussians: Gaussians, key: Key[Array, '']) -> Gaussians:
    """Thin ones, turned anyhow: disks are trained as Gaussians whose thickness is not seen."""
    wide = gaussians.log_scales[:, :2]
    thin = wide.min(-1, keepdims=True) + jnp.log(THIN)
    return gaussians._replace(
        rotations=jax.random.normal(key, gaussians.rotations.shape),
        log_scales=jnp.concatenate([wide, thin], axis=-1),
    )
