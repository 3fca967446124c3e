"""What a camera sees of a scene: image, coverage, depth and normals."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.cameras import Camera, pixel_grid, rays
from jaxcv.data.tabletop.chunks import CHUNK, by_chunks
from jaxcv.data.tabletop.light import LIGHT, Light, shade
from jaxcv.data.tabletop.tracing import trace
from jaxcv.data.tabletop.world import Scene, normals, owner

# From the pixel's center, (x, y): each row and column of a 4 x 4 grid has one.
SAMPLES = ((-0.375, 0.125), (-0.125, -0.375), (0.125, 0.375), (0.375, -0.125))


class View(NamedTuple):
    """Depth, normals and objects are those of the pixels' centers: nothing is averaged there."""

    image: Float[Array, 'h w 4']  # straight RGBA in [0, 1], alpha is coverage; 0 outside
    depth: Float[Array, 'h w']  # along the camera's z; 0 outside
    normals: Float[Array, 'h w 3']  # in the world; 0 outside
    objects: Int[Array, 'h w']  # index of the object, -1 outside


@partial(jax.jit, static_argnames='chunk')
def render(scene: Scene, camera: Camera, light: Light = LIGHT, chunk: int = CHUNK) -> View:
    """One camera's view, with four samples of color a pixel, traced `chunk` rays at a time.

    Colors are averaged as a screen shows them, so that compositing with the image's own values
    (on white: rgb * alpha + 1 - alpha) is exact.
    """
    centers = pixel_grid(camera.width, camera.height).reshape(-1, 2)
    pixels = centers[:, None] + np.float32([(0, 0), *SAMPLES])
    bundle = rays(camera, pixels.reshape(-1, 2))
    hit = trace(scene, bundle.origins, bundle.directions, chunk)
    points = bundle.origins + hit.length[:, None] * bundle.directions
    # From here [pixel, ray, ...], where ray 0 is that of the center.
    found, length, points, directions = (
        x.reshape(*pixels.shape[:2], *x.shape[1:])
        for x in (hit.found, hit.length, points, bundle.directions)
    )
    depth = length[:, 0] * (directions[:, 0] * camera.pose[2, :3]).sum(-1)
    geometry = _geometry(scene, found[:, 0], points[:, 0], chunk)
    image = _image(scene, light, found[:, 1:], points[:, 1:], directions[:, 1:], chunk)
    view = View(image, depth, *geometry)
    return jax.tree.map(lambda x: x.reshape(camera.height, camera.width, *x.shape[1:]), view)


def _geometry(scene, found, points, chunk):
    """(normals, objects)."""

    def geometry(found, points):
        out = jnp.where(found[:, None], normals(scene, points), 0)
        return out, jnp.where(found, owner(scene, points)[0], -1)

    rest = jnp.zeros_like(points), jnp.full(len(points), -1)
    return by_chunks(geometry, found, (points,), rest, chunk)


def _image(scene, light, found, points, directions, chunk):
    """[pixel 4] of [pixel sample ...]."""

    def color(found, points, directions):
        return (jnp.where(found[:, None], shade(scene, light, points, directions, found), 0),)

    flat = points.reshape(-1, 3), directions.reshape(-1, 3)
    (colors,) = by_chunks(color, found.reshape(-1), flat, (jnp.zeros_like(flat[0]),), chunk)
    count = found.sum(1, keepdims=True)
    colors = colors.reshape(points.shape).sum(1) / jnp.maximum(count, 1)
    return jnp.concatenate([colors, count / len(SAMPLES)], -1)
