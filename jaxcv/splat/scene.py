"""A scene as people and other programs receive it: Gaussians, and how they are to be drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras import Camera
from jaxcv.cameras.view import View
from jaxcv.splat import surfels
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.rasterize import Rendering, rasterize
from jaxcv.splat.splats import Splats, activated

ROOM = 16  # bits of the capacity of pictures, at first


@dataclass(frozen=True)
class Drawing:
    """How Gaussians are drawn."""

    degree: int = 3  # of spherical harmonics
    degree_every: int = 1000  # steps after which there is one more; 0: all at once
    antialiased: bool = False
    near: float = 0.01
    surfels: bool = False  # disks with depths and normals of surfaces (2DGS), not Gaussians


def seen(
    splats: Splats, cameras: Camera, drawing: Drawing, capacity: int, **more
) -> Rendering | surfels.Surface:
    """`rasterize`, as `drawing` says."""
    common = {'capacity': capacity, 'near': drawing.near}
    if drawing.surfels:
        return surfels.rasterize(surfels.flat(splats), cameras, **common, **more)
    return rasterize(splats, cameras, antialiased=drawing.antialiased, **common, **more)


def looker(drawing: Drawing) -> Callable[[Splats, Camera], View]:
    """What one camera sees, with as much room as that takes."""

    @partial(jax.jit, static_argnums=2)
    def once(splats, camera, capacity):
        found = seen(splats, camera, drawing, capacity)
        return View(found.color, found.alpha, found.expected), found.overflow

    def look(splats, camera):
        capacity, overflow = 2**ROOM, 1
        while overflow:
            found, overflow = once(splats, camera, capacity)
            capacity *= 2
        return found

    return look


class Scene(NamedTuple):
    """What a run that needs this one receives: a `cameras.view.Scene`."""

    cameras: Camera
    drawing: Drawing
    looks: Callable[[Splats, Camera], View]
    at: Callable[[Float[Array, '']], Gaussians]  # those that are alive, as they are at a time

    @property
    def camera(self) -> Camera:
        """One to begin with."""
        return self.cameras[0]

    @property
    def gaussians(self) -> Gaussians:
        """At time 0, for `jaxcv.splat.files.write`."""
        return self.at(jnp.float32(0))

    def look(self, camera: Camera, time: float = 0.0) -> View:
        return self.looks(activated(self.at(jnp.float32(time))), camera)
