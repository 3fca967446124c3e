"""What is drawn: Gaussians with their scales and opacities as they are."""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera
from jaxcv.cameras.poses import inverse
from jaxcv.ops import sh
from jaxcv.splat.gaussians import Gaussians

TINY = 1e-24
FARTHEST = 1e18  # beyond it, and where it is not finite, a mean has no direction


class Splats(NamedTuple):
    """n Gaussians to draw.

    means      centers in the world
    rotations  quaternions (w, x, y, z) of any length
    scales     standard deviations along the rotated axes, >= 0
    opacities  in [0, 1]
    colors     c channels [n c], or k = 1, 4, 9, 16 or 25 coefficients of spherical harmonics for
               each [n k c]
    """

    means: Float[Array, 'n 3']
    rotations: Float[Array, 'n 4']
    scales: Float[Array, 'n 3']
    opacities: Float[Array, 'n']
    colors: Float[Array, 'n c'] | Float[Array, 'n k c']


def activated(gaussians: Gaussians) -> Splats:
    """The splats of a scene's unconstrained parameters."""
    return Splats(
        means=gaussians.means,
        rotations=gaussians.rotations,
        scales=jnp.exp(gaussians.log_scales),
        opacities=jax.nn.sigmoid(gaussians.opacity_logits),
        colors=gaussians.sh,
    )


def shaded(splats: Splats, camera: Camera) -> Float[Array, 'n c']:
    """Colors as the camera sees them: max(0, 1/2 + the harmonics) (Kerbl et al. 2023)."""
    if splats.colors.ndim == 2:
        return splats.colors
    seen = sh.evaluate(splats.colors, directions(splats.means, camera))
    return jax.nn.relu(seen + 0.5)


def directions(means: Float[Array, 'n 3'], camera: Camera) -> Float[Array, 'n 3']:
    """Unit directions from the camera to means; 0 for a mean at the eye itself, or out of sight."""
    if camera.model == 'orthographic':
        return jnp.broadcast_to(camera.pose[2, :3], means.shape)
    way = means - inverse(camera.pose)[:, 3]
    way = jnp.where((jnp.abs(way) < FARTHEST).all(-1, keepdims=True), way, 0)
    return way * jax.lax.rsqrt(jnp.maximum(jnp.square(way).sum(-1, keepdims=True), TINY))
