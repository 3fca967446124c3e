"""Normals of the surface that depths make, and how far those of the disks are from them."""

from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.cameras import Camera, pixel_grid, unproject
from jaxcv.cameras.view import SOLID
from jaxcv.splat.surfels.rasterize import Surface

TINY = 1e-12


def relief(depths: Float[Array, '*b h w'], camera: Camera) -> Float[Array, '*b h-2 w-2 3']:
    """Normals, towards the camera, of the surface at these depths: the cross product of what lies
    between the neighbors of a pixel along both axes (Huang et al. 2024, eq. 15)."""
    pixels = pixel_grid(camera.width, camera.height).reshape(-1, 2)
    lead = depths.shape[:-2]
    pixels = jnp.broadcast_to(pixels, (*lead, *pixels.shape))
    points = unproject(camera, pixels, depths.reshape(*lead, -1)).reshape(*depths.shape, 3)
    right = points[..., 1:-1, 2:, :] - points[..., 1:-1, :-2, :]
    down = points[..., 2:, 1:-1, :] - points[..., :-2, 1:-1, :]
    normals = jnp.cross(down, right)
    square = jnp.square(normals).sum(-1, keepdims=True)
    return jnp.where(square > TINY**2, normals, 0) / jnp.sqrt(jnp.maximum(square, TINY**2))


def unevenness(seen: Surface, camera: Camera) -> Float[Array, '*b']:
    """The mean over pixels of the sum of weight times (1 - n · N) (Huang et al. 2024, eq. 14), N
    being the relief: where a pixel and its neighbors are solid."""
    inner = (..., slice(1, -1), slice(1, -1))
    agree = (seen.normals[(*inner, slice(None))] * relief(seen.expected, camera)).sum(-1)
    found = jnp.where(_surrounded(seen.alpha > SOLID), seen.alpha[inner] * (1 - agree), 0)
    return found.mean((-2, -1))


def _surrounded(solid: Bool[Array, '*b h w']) -> Bool[Array, '*b h-2 w-2']:
    beside = solid[..., 1:-1, 2:] & solid[..., 1:-1, :-2]
    return solid[..., 1:-1, 1:-1] & beside & solid[..., 2:, 1:-1] & solid[..., :-2, 1:-1]
