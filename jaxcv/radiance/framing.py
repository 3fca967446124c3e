"""Pixels of photographs as rays, and whether these and the box of the fields fit together."""

from dataclasses import replace

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.cameras import Camera, Rays, inverse, pixel_centers, rays
from jaxcv.cameras.lines import nearest
from jaxcv.errors import UserError
from jaxcv.ops.rows import take_rows
from jaxcv.radiance.occupancy import intersect
from jaxcv.radiance.renderers import BOX

LOOKED = 2**16  # pixels by which it is judged


def seen(cameras: Camera, places: Int[Array, 'r']) -> tuple[Rays, Int[Array, 'r']]:
    """(rays, which photograph) of the centers of pixels, given by their places in all photographs,
    one after the other, row by row."""
    area = cameras.width * cameras.height
    frame, pixel = places // area, pixel_centers(places % area, cameras.width)
    pose = take_rows(cameras.pose.reshape(-1, 12), frame).reshape(-1, 3, 4)
    own = replace(jax.tree.map(lambda x: x[frame], cameras), pose=pose)
    return jax.tree.map(lambda x: x[:, 0], rays(own, pixel[:, None])), frame


def missed(rays: Rays) -> Bool[Array, 'r']:
    """Whether rays pass by the box."""
    near, far = intersect(rays.origins, rays.directions, *BOX)
    return near >= far


def focus(cameras: Camera) -> tuple[Float[Array, '3'], Float[Array, '']]:
    """The point that is nearest to the axes of cameras, and how far they are from it on average."""
    back = inverse(cameras.pose)
    eyes = back[..., 3]
    point = nearest(eyes, back[..., 2])
    return point, jnp.linalg.norm(point - eyes, axis=-1).mean()


def require(cameras: Camera, places: Int[Array, 'r'], center: tuple, half: float) -> None:
    """Refuses a box, given in the world, that most rays through `places` (what photographs show)
    pass by; says where it should be."""
    places = places[:: -(-len(places) // LOOKED) or 1]
    rays, _ = jax.jit(seen)(cameras, places)
    share = float(missed(rays).mean()) if len(places) else 0.0
    if share <= 0.5:
        return
    point, distance = jax.jit(focus)(cameras)
    point = ', '.join(f'{half * x + middle:.3g}' for x, middle in zip(point, center, strict=True))
    raise UserError(
        f'{share:.0%} of what the photographs show lies on rays that miss the box with center '
        f'{tuple(center)} and half side {half:g}, but the cameras look at about ({point}) from '
        f'{half * distance:.3g} away: set config.box.center and config.box.half'
    )
