"""Surfels and a camera to images."""

from typing import NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.cameras.camera import Camera
from jaxcv.errors import UserError
from jaxcv.splat.rasterize import one_by_one, within
from jaxcv.splat.splats import shaded
from jaxcv.splat.surfels.blend import blend, table
from jaxcv.splat.surfels.disks import Surfels
from jaxcv.splat.surfels.projection import outlined, project
from jaxcv.splat.tiles import SIZE, Grid, intersect, radii


class Surface(NamedTuple):
    """What cameras *b see of surfels.

    color     in front of the background
    alpha     how much of the background is hidden: the sum of weights
    own       the mean color of what is seen, without any background
    expected  the mean of z in the camera, where rays meet the disks
    normals   the mean of the disks' normals in the world, on the side of the camera; of length 1
              where all agree
    radii, pairs, overflow  as in `Rendering`

    Means are 0 where nothing is seen.
    """

    color: Float[Array, '*b height width c']
    alpha: Float[Array, '*b height width']
    own: Float[Array, '*b height width c']
    expected: Float[Array, '*b height width']
    normals: Float[Array, '*b height width 3']
    radii: Float[Array, '*b n 2']
    pairs: Int[Array, '*b']
    overflow: Int[Array, '*b']


def rasterize(
    surfels: Surfels,
    camera: Camera,
    *,
    capacity: int,
    background: float | Float[Array, 'c'] = 0.0,
    near: float = 0.01,
    far: float = 1e10,
    shift: Float[Array, '*b n 2'] | None = None,
) -> Surface:
    """What pinhole cameras without a lens, one after the other, see of surfels with centers between
    the planes z = near and z = far: all of the same, or, where these have the leading axes *b too,
    each of its own. Parts that are nearer than `near` are cut off.

    Differentiable in surfels, background, pose, focal length and principal point; where alpha, the
    order of depths or what a pixel sees of a disk jumps, the gradient is that of one side.

    capacity  room for pairs of a surfel and a tile of 8x8 pixels: while `overflow` is not 0, take
              the next power of two
    shift     in pixels, added to the projected means, as in `splat.rasterize`
    """
    if camera.model != 'pinhole' or camera.lens.shape[-1]:
        lens = ' with a lens' if camera.lens.shape[-1] else ''
        raise UserError(
            f'surfels are drawn by pinhole cameras without a lens, but this one is {camera.model}'
            f'{lens}: undistort its photographs, or use Gaussians'
        )

    def see(surfels, camera, shift):
        return _rasterize(surfels, camera, capacity, background, near, far, shift)

    return one_by_one(see, surfels, camera, shift)


def _rasterize(surfels, camera, capacity, background, near, far, shift):
    disks = project(surfels, camera, near=near, far=far)
    outlines = outlined(disks, camera)
    if shift is not None:
        disks, outlines = (x._replace(means=x.means + shift) for x in (disks, outlines))
    grid = Grid(camera.width, camera.height, SIZE)
    lists = intersect(outlines, grid, capacity)
    colors = shaded(surfels, camera)
    found, alpha = blend(table(disks, colors), lists, grid, near)
    sums = found / jnp.where(alpha > 0, alpha, 1)[..., None]
    expected, normals, own = sums[..., 0], sums[..., 1:4], sums[..., 4:]
    color = found[..., 4:] + (1 - alpha)[..., None] * background
    box = within(radii(outlines), disks.means, camera)
    return Surface(color, alpha, own, expected, normals, box, lists.pairs, lists.overflow)
