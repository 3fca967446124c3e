"""Cameras as pytrees: OpenCV's axes (x right, y down, z forward), poses from world to camera, pixel
coordinates (x, y) with pixel centers at +0.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.cameras import fisheye, pinhole
from jaxcv.cameras.poses import compose, se3_exp
from jaxcv.errors import UserError, choose

# How many coefficients the lens of each model may have.
LENSES = {'pinhole': pinhole.SIZES, 'fisheye': fisheye.SIZES, 'orthographic': (0,)}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Camera:
    """One camera, or as many of one size and model as the leading axes *b say.

    pose    world to camera, [R | t]
    focal   (fx, fy) in pixels; of an orthographic camera pixels per unit of length
    center  principal point (cx, cy) in pixels
    lens    pinhole: none, or k1 k2 p1 p2 [k3 [k4 [k5 k6]]] as OpenCV orders them (k4 to k6 divide);
            fisheye: none, or k1 k2 k3 k4 as in OpenCV's `fisheye`; orthographic: none
    """

    pose: Float[Array, '*b 3 4']
    focal: Float[Array, '*b 2']
    center: Float[Array, '*b 2']
    lens: Float[Array, '*b k']
    width: int = field(metadata={'static': True})
    height: int = field(metadata={'static': True})
    model: str = field(default='pinhole', metadata={'static': True})

    def __getitem__(self, index: int | slice | tuple | Int[Array, '*n']) -> 'Camera':
        """Some of the cameras, by their leading axes."""
        return jax.tree.map(lambda leaf: leaf[index], self)

    def __len__(self) -> int:
        """How many cameras the first leading axis holds."""
        if self.pose.ndim < 3:
            raise UserError('a single camera has no length: camera[None] is one of many')
        return len(self.pose)

    def __iter__(self) -> Iterator['Camera']:
        # Arrays answer every index, so that Python's own iteration would never end.
        return (self[i] for i in range(len(self)))


def make(
    pose: Float[Array, '*b 3 4'],
    focal: float | Float[Array, '*b 2'],
    width: int,
    height: int,
    *,
    center: Float[Array, '*b 2'] | None = None,
    lens: Float[Array, '*b k'] | None = None,
    model: str = 'pinhole',
) -> Camera:
    """A camera for every pose; whatever has fewer leading axes is common to all.

    The principal point is the middle of the image unless given, and there is no lens unless given.
    """
    choose(model, LENSES, 'the model of a camera')
    pose = jnp.asarray(pose)
    dtype = jnp.result_type(pose, float)
    center = (width / 2, height / 2) if center is None else center
    lens = jnp.zeros(0) if lens is None else jnp.asarray(lens)
    if lens.shape[-1] not in LENSES[model]:
        raise UserError(
            f'the lens of a {model} camera has {lens.shape[-1]} coefficients, but must have '
            f'{" or ".join(map(str, LENSES[model]))}: fill it up with zeros'
        )

    def common(x, size):
        return jnp.broadcast_to(jnp.asarray(x, dtype), (*pose.shape[:-2], size))

    focal, center, lens = common(focal, 2), common(center, 2), common(lens, lens.shape[-1])
    return Camera(pose.astype(dtype), focal, center, lens, width, height, model)


def focal_length(angle: float | Float[Array, '*b'], size: int) -> Float[Array, '*b']:
    """In pixels, of a pinhole camera that sees `angle` (radians) across `size` pixels."""
    return size / 2 / jnp.tan(jnp.asarray(angle) / 2)


def pixel_grid(width: int, height: int) -> Float[Array, 'height width 2']:
    """The centers (x, y) of all pixels."""
    return pixel_centers(jnp.arange(height * width), width).reshape(height, width, 2)


def pixel_centers(places: Int[Array, '*n'], width: int) -> Float[Array, '*n 2']:
    """The centers (x, y) of pixels by their place in the image, row by row."""
    return jnp.stack([places % width, places // width], axis=-1) + jnp.float32(0.5)


def refined(camera: Camera, twist: Float[Array, '*b 6']) -> Camera:
    """The camera with the pose exp(twist) pose: a movement (rotation vector, translation) of what
    it sees, in its own coordinates."""
    return replace(camera, pose=compose(se3_exp(twist), camera.pose))


def resized(camera: Camera, width: int, height: int) -> Camera:
    """The camera of its image resized to width x height."""
    factor = jnp.array([width / camera.width, height / camera.height], camera.focal.dtype)
    focal, center = camera.focal * factor, camera.center * factor
    return replace(_sized(camera, width, height), focal=focal, center=center)


def scaled(camera: Camera, factor: float) -> Camera:
    """The camera of its image resized by `factor`, rounded to whole pixels."""
    return resized(camera, round(camera.width * factor), round(camera.height * factor))


def cropped(camera: Camera, left: int, top: int, width: int, height: int) -> Camera:
    """The camera of width x height pixels of its image from (left, top) on, which may lie
    outside."""
    corner = jnp.array([left, top], camera.center.dtype)
    return replace(_sized(camera, width, height), center=camera.center - corner)


def _sized(camera, width, height):
    if min(width, height) < 1:
        raise UserError(f'an image of {width}x{height} has no pixels: choose at least 1x1')
    return replace(camera, width=width, height=height)
