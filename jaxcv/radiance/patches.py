"""Views that no photograph was taken from: what few photographs leave open there, is smooth
(Niemeyer et al. 2022)."""

from dataclasses import replace

import jax
from jax import numpy as jnp
from jaxtyping import Array, Key

from jaxcv import cameras as optics
from jaxcv.cameras import Camera, Rays, inverse, look_at
from jaxcv.radiance.framing import focus


def between(cameras: Camera, key: Key[Array, ''], count: int) -> Camera:
    """`count` cameras, each between a random two of these: it looks where all of them look, from as
    far as the two are on average."""
    pair, place = jax.random.split(key)
    pairs = jax.random.randint(pair, (2, count), 0, len(cameras))
    share = jax.random.uniform(place, (count, 1))
    point, _ = focus(cameras)
    back = inverse(cameras.pose)

    def mixed(x):
        return share * x[pairs[0]] + (1 - share) * x[pairs[1]]

    def length(x):
        return jnp.linalg.norm(x, axis=-1, keepdims=True)

    away = back[..., 3] - point
    way = mixed(away)
    eyes = point + way / jnp.maximum(length(way), 1e-6) * mixed(length(away))
    return replace(cameras[pairs[0]], pose=look_at(eyes, point, mixed(-back[..., 1])))


def rays(cameras: Camera, key: Key[Array, ''], size: int) -> Rays:
    """Rays [b size * size] through a square of neighboring pixels, somewhere in each picture."""
    room = jnp.array([cameras.width, cameras.height]) - size + 1
    corners = jax.random.randint(key, (len(cameras), 2), 0, room)
    steps = jnp.stack(jnp.meshgrid(*[jnp.arange(size)] * 2), axis=-1).reshape(-1, 2)
    return optics.rays(cameras, (corners[:, None] + steps).astype(jnp.float32) + 0.5)
