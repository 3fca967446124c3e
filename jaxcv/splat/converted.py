"""Gaussians of a scene that is something else, such as a radiance field: from what cameras see of
it, without training.

Every pixel that shows a surface gives a disk as large as the pixel there. Those that many views
give of the same place are merged, and those that most views see through are left out.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras import Camera, inverse, pixel_grid, placed, unproject
from jaxcv.cameras.view import SOLID, View
from jaxcv.errors import UserError
from jaxcv.ops import sh
from jaxcv.splat.gaussians import Gaussians

SPREAD = 0.4  # standard deviations of disks in distances between them: few gaps, little blur
FLATNESS = 0.2  # across a disk, of those along it
SUNK = 0.8  # pixels: by so much blurred rims, many of them, make things look wider
OPACITY = 0.95  # of what is opaque
STEEP = 8.0  # tangent of the angle between the surface and the image from which on it is an edge
CLOSE = 3.0  # distances between disks that a surface may be off
FEWEST = 1e-6


class Patches(NamedTuple):
    """What pixels show of surfaces."""

    points: Float[Array, '*n 3']  # in the world
    normals: Float[Array, '*n 3']  # in the world, towards the camera
    colors: Float[Array, '*n 3']
    opacities: Float[Array, '*n']
    sizes: Float[Array, '*n']  # of a pixel there
    weights: Float[Array, '*n']  # what they count; 0: there is no surface


def gaussians(views: View, cameras: Camera, *, spacing: float = 1.4) -> Gaussians:
    """Of n views [n h w] of one scene by n cameras; on the host. They have no view-dependent color.

    spacing  distance between Gaussians, in pixels at the median distance: fewer pixels make more
             and smaller ones
    """
    each = jax.jit(patches)
    found = []
    for i in range(len(cameras)):
        some = jax.device_get(each(View(*(x[i] for x in views)), cameras[i]))
        shown = some.weights > 0
        found.append(Patches(*(x[shown] for x in some)))
    seen = Patches(*map(np.concatenate, zip(*found, strict=True)))
    if not len(seen.points):
        raise UserError('no view shows a surface: the scene is empty, or nowhere half opaque')
    apart = spacing * float(np.median(seen.sizes))
    disks = merged(seen, apart)
    met, through = jax.jit(witnesses)(disks.points, views.surface, cameras, CLOSE * apart)
    kept = np.asarray(met > through)
    return flat(Patches(*(x[kept] for x in disks)), apart, spacing)


def patches(view: View, camera: Camera) -> Patches:
    """Of each pixel [h w]. Its normal is that of the nearer neighbors along both axes."""
    depth = view.surface
    pixels = pixel_grid(camera.width, camera.height)
    there = lambda pixels: unproject(camera, pixels.reshape(-1, 2), depth.reshape(-1))  # noqa: E731
    points = there(pixels).reshape(*depth.shape, 3)
    half = jnp.array([0.5, 0])
    sizes = jnp.linalg.norm(there(pixels + half) - there(pixels - half), axis=-1)
    sizes = sizes.reshape(depth.shape)

    ways, jumps = zip(*(_slope(points, depth, axis) for axis in (1, 0)), strict=True)
    normals = jnp.cross(*ways)
    length = jnp.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / jnp.where(length > 0, length, 1)
    towards = inverse(camera.pose)[:, 3] - points
    if camera.model == 'orthographic':
        towards = jnp.broadcast_to(-camera.pose[2, :3], points.shape)
    facing = (normals * towards).sum(-1) / jnp.linalg.norm(towards, axis=-1)
    normals = jnp.where(facing[..., None] < 0, -normals, normals)

    shown = (depth > 0) & (length[..., 0] > 0) & (jnp.maximum(*jumps) < STEEP * sizes)
    # Who is near and looks straight at it knows best.
    weights = jnp.abs(facing) * view.opacity / jnp.square(jnp.where(shown, sizes, 1))
    colors = (view.color / jnp.maximum(view.opacity, SOLID)[..., None]).clip(0, 1)
    weights = jnp.where(shown, weights, 0)
    return Patches(points, normals, colors, view.opacity, sizes, weights)


def _slope(points, depth, axis):
    """From each pixel along an axis to the next, or from the one before if that is nearer in
    depth; and by how much the depth changes."""
    ahead = jnp.roll(points, -1, axis) - points
    size = depth.shape[axis]
    last = jnp.expand_dims(jnp.arange(size) == size - 1, 1 - axis)
    known = (depth > 0) & (jnp.roll(depth, -1, axis) > 0) & ~last
    jump = jnp.where(known, jnp.abs(jnp.roll(depth, -1, axis) - depth), jnp.inf)
    before = jnp.roll(jump, 1, axis)
    way = jnp.where((before < jump)[..., None], jnp.roll(ahead, 1, axis), ahead)
    return way, jnp.minimum(before, jump)


def merged(seen: Patches, apart: float) -> Patches:
    """The mean of the patches in each cube of side `apart` that face the same of six ways, so that
    both sides of a sheet stay two; sizes are the least. In numpy."""
    cells = np.floor((seen.points - seen.points.min(0)) / apart).astype(np.int64)
    axis = np.abs(seen.normals).argmax(1)
    side = np.take_along_axis(seen.normals, axis[:, None], 1)[:, 0] > 0
    keys = np.concatenate([cells, (2 * axis + side)[:, None]], axis=1)
    keys = np.ravel_multi_index(keys.T, keys.max(0) + 1)
    _, place = np.unique(keys, return_inverse=True)
    total = np.bincount(place, seen.weights)

    def mean(x):
        columns = x.reshape(len(x), -1).T
        sums = [np.bincount(place, seen.weights * column) for column in columns]
        return (np.stack(sums, -1) / total[:, None]).astype(np.float32).reshape(-1, *x.shape[1:])

    sizes = np.full(len(total), np.inf, np.float32)
    np.minimum.at(sizes, place, seen.sizes)
    means = map(mean, (seen.points, seen.normals, seen.colors, seen.opacities))
    return Patches(*means, sizes, total.astype(np.float32))


def witnesses(
    points: Float[Array, 'n 3'],
    depths: Float[Array, 'b h w'],
    cameras: Camera,
    slack: float | Float[Array, ''],
) -> tuple[Float[Array, 'n'], Float[Array, 'n']]:
    """How many cameras see a surface at points, and how many see through them: to a surface behind
    them, or to none (depth 0)."""

    def look(counts, view):
        camera, depth = view
        row, column, z, within = placed(camera, points)
        there = depth[row, column]
        behind = (there == 0) | (there > z + slack)
        met = ~behind & (there > z - slack)
        return (counts[0] + (within & met), counts[1] + (within & behind)), None

    start = jnp.zeros(len(points)), jnp.zeros(len(points))
    return jax.lax.scan(look, start, (cameras, depths))[0]


def flat(disks: Patches, apart: float, spacing: float) -> Gaussians:
    """Gaussians along patches that are `apart`, `spacing` pixels or less. In numpy."""
    pixels = np.maximum(apart / spacing, disks.sizes)[:, None]
    scales = SPREAD * spacing * pixels * np.array([1, 1, FLATNESS])
    # From z to the normal, on the side of z.
    normals = disks.normals * np.where(disks.normals[:, 2:] < 0, -1, 1)
    length = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), FEWEST)
    x, y, z = (normals / length).T
    rotations = np.stack([1 + z, -y, x, np.zeros_like(x)], axis=1)
    opacities = np.clip(OPACITY * disks.opacities, FEWEST, OPACITY)
    found = Gaussians(
        means=disks.points - SUNK * pixels * disks.normals,
        log_scales=np.log(scales),
        rotations=rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
        opacity_logits=np.log(opacities / (1 - opacities)),
        sh=(disks.colors[:, None] - 0.5) / sh.CONSTANT,
    )
    return Gaussians(*(np.float32(x) for x in found))
