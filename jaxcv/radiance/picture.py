"""Whole pictures, some rays at a time."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras import Camera, Rays, pixel_centers, pixel_grid, rays
from jaxcv.cameras.view import View
from jaxcv.radiance.chunks import by_chunks
from jaxcv.radiance.volume import Rendered, unit

T = TypeVar('T')


class Picture(NamedTuple):
    """What cameras see; *p is [h w], behind the cameras' axes, or the rays of a chunk."""

    color: Float[Array, '*p 3']
    opacity: Float[Array, '*p']
    depth: Float[Array, '*p']  # along the ray, not z
    normals: Float[Array, '*p 3'] | None = None  # of unit length in the world, or 0


def picture(render: Callable[[Rays], T], camera: Camera, chunk: int = 4096) -> T:
    """What `render` makes of the rays through all pixels of a camera, or of cameras one by one.

    `render` gives a pytree of [n ...], such as a `Picture`, for a chunk of n rays; the result has
    [*b h w ...]. No more than `chunk` rays and what comes of them are in memory at a time.
    """
    if camera.pose.ndim > 2:
        return jax.lax.map(lambda one: picture(render, one, chunk), camera)

    def seen(index):
        return render(rays(camera, pixel_centers(index, camera.width)))

    found = by_chunks(seen, jnp.arange(camera.height * camera.width), chunk)
    return jax.tree.map(lambda x: x.reshape(camera.height, camera.width, *x.shape[1:]), found)


def shown(rendered: Rendered) -> Picture:
    """Of rays whose values are colors, then perhaps normals, and not composited yet."""
    color, normals = rendered.values[..., :3], rendered.values[..., 3:6]
    normals = unit(normals) if normals.size else None
    return Picture(color, rendered.opacity, rendered.depth, normals)


def seen_along(seen: Picture, camera: Camera) -> View:
    """The picture of a camera with depth along its axis."""
    grid = pixel_grid(camera.width, camera.height)
    ahead = rays(camera, grid.reshape(-1, 2)).directions @ camera.pose[2, :3]
    return View(seen.color, seen.opacity, seen.depth * ahead.reshape(seen.depth.shape))
