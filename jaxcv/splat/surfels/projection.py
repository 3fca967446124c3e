"""Surfels on the screen: for each a projective map from pixels to its plane, and an ellipse around
what is drawn of it.

A pixel at a distance d from the projected center looks along p / z + (d / focal, 0), where p is the
center in the camera and z its depth. Solving for where that meets the plane,

    (u, v) = (U d, V d) / (1 + W d)   in standard deviations, at depth z / (1 + W d)

with three gradients U, V, W in pixels: a Gaussian on the screen is the case W = 0.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera
from jaxcv.cameras.poses import rotated
from jaxcv.splat.covariance import rotation
from jaxcv.splat.projection import FAINT, LARGEST, Projected, harmless, root
from jaxcv.splat.surfels.disks import Surfels

POINT = 0.5  # variance in pixels of what is drawn of a disk at least (Huang et al. 2024, eq. 11)
EDGE = 1e-4  # sine of the angle to a ray from which on a plane is not met
THIN = 1e-3  # pixels: scales count as at least so much
NEARLY = 0.99  # of the way to the camera's plane: what reaches further may be anywhere


class Disks(NamedTuple):
    """n surfels on the screen.

    means      pixels (x, y) of centers
    maps       U, V, W
    depths     z of centers in the camera
    opacities  0: not seen
    normals    in the world, towards the camera
    axes       of standard deviations in the camera, their z over that of the center: [axis, xyz]
    """

    means: Float[Array, 'n 2']
    maps: Float[Array, 'n 3 2']
    depths: Float[Array, 'n']
    opacities: Float[Array, 'n']
    normals: Float[Array, 'n 3']
    axes: Float[Array, 'n 2 3']


def project(surfels: Surfels, camera: Camera, *, near: float, far: float) -> Disks:
    """How one pinhole camera sees surfels with centers between the planes z = near and far."""
    points, surfels = harmless(surfels, camera, near, far)
    depths = points[:, 2:]
    # A unit of length at the depth 1: nothing far away is large.
    plane = points / depths
    world = rotation(surfels.rotations).swapaxes(-1, -2)
    along, across, normals = jnp.moveaxis(rotated(camera.pose[:, :3], world), 1, 0)
    scales = jnp.maximum(surfels.scales / depths, THIN / camera.focal.max())
    height = (normals * plane).sum(-1, keepdims=True)
    edge = jnp.abs(height) < EDGE * jnp.sqrt(jnp.square(plane).sum(-1, keepdims=True))
    slopes = [
        jnp.cross(across, plane) / scales[:, :1],
        jnp.cross(plane, along) / scales[:, 1:],
        normals,
    ]
    maps = jnp.stack(slopes, 1)[..., :2] / (jnp.where(edge, 1, height)[..., None] * camera.focal)
    # A plane that is not met is seen as a point: everywhere else it is far away.
    nothing = jnp.array([[1, 0], [0, 1], [0, 0]], maps.dtype) / THIN
    maps = jnp.where(edge[..., None], nothing, maps)
    side = jnp.where(height > 0, -1, 1)
    return Disks(
        plane[:, :2] * camera.focal + camera.center,
        maps,
        depths[:, 0],
        surfels.opacities,
        side * world[:, 2],
        jnp.stack([along, across], 1) * scales[..., None],
    )


def outlined(disks: Disks, camera: Camera) -> Projected:
    """Gaussians on the screen that are drawn wherever the disks are, for `tiles.intersect`.

    What is drawn has (u, v) within some radius r. The image of that, as long as it does not reach
    the plane of the camera, is an ellipse: with F the Jacobian of (u, v) to pixels, g minus that of
    log z, and s = r² |g|² < 1, its center is r² F g / (1 - s) from the projected one, and its
    covariance F (1 + r² g g^T / (1 - s)) F^T / (1 - s). What is covered is the sum of it and of a
    point's circle, as sets.
    """
    disks, camera = jax.lax.stop_gradient((disks, camera))
    square = 2 * jnp.log(jnp.maximum(disks.opacities / FAINT, 1))[:, None]
    plane = (disks.means - camera.center) / camera.focal
    flat = camera.focal * (disks.axes[..., :2] - disks.axes[..., 2:] * plane[:, None])
    slant = -disks.axes[..., 2]
    steep = jnp.square(slant).sum(-1, keepdims=True)
    reach = square * steep
    anywhere = reach > NEARLY
    left = jnp.where(anywhere, 1, 1 - reach)
    moved = (slant[..., None] * flat).sum(1)
    # (1 + r² g g^T / (1 - s))^(1/2) stretches along g alone.
    stretch = (1 / jnp.sqrt(left) - 1) / jnp.where(steep > 0, steep, 1)
    axes = flat + (stretch * slant)[..., None] * moved[:, None]
    axes = axes / jnp.sqrt(left)[..., None]

    spread = jnp.square(axes).sum((1, 2))
    share = jnp.maximum(jnp.sqrt(spread / (2 * POINT)), 1e-3)
    axes = axes * jnp.sqrt(1 + 1 / share)[:, None, None]
    x, y = jnp.moveaxis(jnp.pad(axes, ((0, 0), (0, 1), (0, 0))), -1, 0)
    roots, _ = root(x, y, (1 + share) * POINT)
    wide = jnp.array([1, 0, 1], roots.dtype) / LARGEST
    return Projected(
        jnp.where(anywhere, 0, disks.means + square / left * moved),
        jnp.where(anywhere, wide, roots),
        disks.depths,
        disks.opacities,
    )
