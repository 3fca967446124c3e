"""Surfels and a camera to images."""

from typing import NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.cameras.camera import Camera
from jaxcv.errors import UserError
from jaxcv.splat.splats import shaded
from jaxcv.splat.surfels.blend import blend, table
from jaxcv.splat.surfels.disks import Surfels
from jaxcv.splat.surfels.projection import outlined, project
from jaxcv.splat.tiles import SIZE, Grid, intersect


class Surface(NamedTuple):
    """What a camera sees of surfels.

    color     in front of the background
    alpha     how much of the background is hidden: the sum of weights
    own       the mean color of what is seen, without any background
    depth     the mean of z in the camera, where rays meet the disks
    normals   the mean of the disks' normals in the world, on the side of the camera; of length 1
              where all agree
    pairs     as in `Rendering`
    overflow  as in `Rendering`

    Means are 0 where nothing is seen.
    """

    color: Float[Array, 'height width c']
    alpha: Float[Array, 'height width']
    own: Float[Array, 'height width c']
    depth: Float[Array, 'height width']
    normals: Float[Array, 'height width 3']
    pairs: Int[Array, '']
    overflow: Int[Array, '']


def rasterize(
    surfels: Surfels,
    camera: Camera,
    *,
    capacity: int,
    background: float | Float[Array, 'c'] = 0.0,
    near: float = 0.01,
    far: float = 1e10,
) -> Surface:
    """What one pinhole camera without a lens sees of surfels with centers between the planes
    z = near and z = far; parts of them that are nearer are cut off.

    Differentiable in surfels, background, pose, focal length and principal point; where alpha, the
    order of depths or what a pixel sees of a disk jumps, the gradient is that of one side.

    capacity  room for pairs of a surfel and a tile of 8x8 pixels: while `overflow` is not 0, take
              the next power of two
    """
    if camera.model != 'pinhole' or camera.lens.shape[-1]:
        lens = ' with a lens' if camera.lens.shape[-1] else ''
        raise UserError(
            f'surfels are drawn by pinhole cameras without a lens, but this one is {camera.model}'
            f'{lens}: undistort its photographs, or use Gaussians'
        )
    disks = project(surfels, camera, near=near, far=far)
    grid = Grid(camera.width, camera.height, SIZE)
    lists = intersect(outlined(disks, camera), grid, capacity)
    colors = shaded(surfels, camera)
    found, alpha = blend(table(disks, colors), lists, grid, near)
    sums = found / jnp.where(alpha > 0, alpha, 1)[..., None]
    depth, normals, own = sums[..., 0], sums[..., 1:4], sums[..., 4:]
    color = found[..., 4:] + (1 - alpha)[..., None] * background
    return Surface(color, alpha, own, depth, normals, lists.pairs, lists.overflow)
