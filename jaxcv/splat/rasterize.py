"""Splats and a camera to images."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxcv.cameras.camera import Camera
from jaxcv.splat.blend import Screen, blend
from jaxcv.splat.projection import project
from jaxcv.splat.splats import Splats, shaded
from jaxcv.splat.tiles import SIZE, Grid, intersect, radii

T = TypeVar('T')


class Rendering(NamedTuple):
    """Images of the cameras *b.

    color     in front of the background
    alpha     how much of the background is hidden
    depth     accumulated: the sum of weight times z in the camera
    expected  depth / alpha, the mean depth of what is seen; 0 where nothing is
    radii     of the splats, in pixels along x and y: half the box in which they are drawn; 0: not
              seen, or beside the image
    pairs     of a splat and a tile: what the capacity has to hold; if it does not, at least
    overflow  by how much the capacity is too small, at least; unless 0, splats are missing
    """

    color: Float[Array, '*b height width c']
    alpha: Float[Array, '*b height width']
    depth: Float[Array, '*b height width']
    expected: Float[Array, '*b height width']
    radii: Float[Array, '*b n 2']
    pairs: Int[Array, '*b']
    overflow: Int[Array, '*b']


def rasterize(
    splats: Splats,
    camera: Camera,
    *,
    capacity: int,
    background: float | Float[Array, 'c'] = 0.0,
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool = False,
    shift: Float[Array, '*b n 2'] | None = None,
) -> Rendering:
    """What cameras, one after the other, see of splats: all of the same, or, where these have the
    leading axes *b too, each of its own.

    Differentiable in splats, background and all of the camera but its size; where alpha or the
    order of depths jumps, the gradient is that of one side.

    capacity    room for pairs of a splat and a tile of 8x8 pixels that it touches: while
                `overflow` is not 0, take the next power of two
    near, far   depths between which splats are seen
    antialiased splats thinner than a pixel fade (Yu et al. 2024)
    shift       in pixels, added to the projected means. The gradient with respect to zeros is what
                the densification of 3DGS takes the norm of (times half the image's size, there)
    """

    def see(splats, camera, shift):
        return _rasterize(splats, camera, capacity, background, near, far, antialiased, shift)

    return one_by_one(see, splats, camera, shift)


def one_by_one(see: Callable[..., T], splats: PyTree, camera: Camera, shift: Array | None) -> T:
    """`see(splats, camera, shift)` of cameras *b one after the other; `shift` has these axes too,
    as splats (or surfels) have where each camera sees its own."""
    lead = camera.pose.shape[:-2]
    if not lead:
        return see(splats, camera, shift)
    own = splats if splats.means.ndim > 2 else None
    count = math.prod(lead)
    flat = jax.tree.map(lambda x: x.reshape(count, *x.shape[len(lead) :]), (own, camera, shift))
    found = jax.lax.map(lambda one: see(one[0] or splats, *one[1:]), flat)
    return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), found)


def _rasterize(splats, camera, capacity, background, near, far, antialiased, shift):
    seen = project(splats, camera, near=near, far=far, antialiased=antialiased)
    if shift is not None:
        seen = seen._replace(means=seen.means + shift)
    grid = Grid(camera.width, camera.height, SIZE)
    lists = intersect(seen, grid, capacity)
    features = jnp.concatenate([shaded(splats, camera), seen.depths[:, None]], axis=-1)
    screen = Screen(seen.means, seen.roots, seen.opacities, features)
    features, alpha = blend(screen, lists, grid)
    color, depth = features[..., :-1], features[..., -1]
    color = color + (1 - alpha)[..., None] * background
    expected = depth / jnp.where(alpha > 0, alpha, 1)
    box = within(radii(seen), seen.means, camera)
    return Rendering(color, alpha, depth, expected, box, lists.pairs, lists.overflow)


def within(
    box: Float[Array, 'n 2'], means: Float[Array, 'n 2'], camera: Camera
) -> Float[Array, 'n 2']:
    """0 for boxes beside the image."""
    size = jnp.array([camera.width, camera.height], means.dtype)
    inside = ((means + box > 0) & (means - box < size)).all(-1)
    return jnp.where(inside[:, None], box, 0)
