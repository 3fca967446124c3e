"""Where training begins, by name: of what photographs are known and the degree of spherical
harmonics, a function that gives the first Gaussians from a key and the photographs' cameras as they
are believed to be."""

from collections.abc import Callable

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Key

from jaxcv.cameras import Camera
from jaxcv.data.captures import Frames, Points, ply
from jaxcv.errors import UserError
from jaxcv.splat import files, initial
from jaxcv.splat.gaussians import Gaussians

CUBE = (-1.0,) * 3, (1.0,) * 3  # the box
COARSE = 128  # pixels of the photographs, at least, that tell where the scene is
Start = Callable[[Key[Array, ''], Camera], Gaussians]


def from_points(known: Frames, degree: int, path='', points=None, opacity=0.1, scale=1.0) -> Start:
    """Balls at the given points, or those of a PLY at `path`."""
    points = ply.read(path) if path else points
    if points is None:
        points = Points(np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    apart, colors = scale * initial.spacing(points.xyz), points.rgb / np.float32(255)

    def begin(key, cameras):
        return initial.balls(points.xyz, colors, apart, opacity=opacity, degree=degree)

    return begin


def anywhere(known: Frames, degree: int, count=100_000, opacity=0.1, scale=1.0) -> Start:
    """`count` balls in the box, of any color."""

    def begin(key, cameras):
        place, color = jax.random.split(key)
        points, apart = initial.scattered(jax.random.split(place, count), *CUBE)
        colors = jax.random.uniform(color, (count, 3))
        return initial.balls(points, colors, scale * apart, opacity=opacity, degree=degree)

    return begin


def in_hull(
    known: Frames, degree: int, count=100_000, tries=16, through=0.0, opacity=0.1, scale=1.0
) -> Start:
    """`count` balls where photographs, transparent elsewhere, show something: the best of
    `tries` times as many. A share of `through` may see through them, as something moves."""
    if known.images.shape[-1] != 4:
        raise UserError(
            "config.initial.name='hull' needs photographs with transparency: choose 'random'"
        )
    stride = max(1, min(known.images.shape[1:3]) // COARSE)
    images = known.images[:, ::stride, ::stride]

    def begin(key, cameras):
        points, apart = initial.scattered(jax.random.split(key, tries * count), *CUBE)
        opaque, colors = initial.hull(points, cameras, images, through)
        points, colors, apart = initial.inside(points, colors, opaque, apart, count)
        return initial.balls(points, colors, scale * apart, opacity=opacity, degree=degree)

    return begin


def from_file(known: Frames, degree: int, path='') -> Start:
    """The Gaussians of another program or run."""
    found, wanted = files.read(path), (degree + 1) ** 2
    missing = max(wanted - found.sh.shape[1], 0)
    harmonics = np.pad(found.sh[:, :wanted], ((0, 0), (0, missing), (0, 0)))
    return lambda key, cameras: Gaussians(*map(jnp.asarray, found._replace(sh=harmonics)))


STARTS = {'points': from_points, 'random': anywhere, 'hull': in_hull, 'file': from_file}
