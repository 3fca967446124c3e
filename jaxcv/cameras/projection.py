"""From points to pixels and back.

Everything differentiates in points, pixels, pose, focal length, center and lens. Leading axes *b
broadcast: many cameras may see the same points.
"""

from typing import NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.cameras import fisheye, pinhole
from jaxcv.cameras.camera import Camera
from jaxcv.cameras.poses import inverse, rotated, transformed
from jaxcv.cameras.rotations import normalized

WIDEST = 1e4  # tangent of the angle beyond which a pinhole camera sees nothing
TINY = 1e-12


class Rays(NamedTuple):
    """What pixels see.

    origins     the eye; of an orthographic camera the point of its plane z = 0
    directions  of unit length
    radii       of the pixel's cone at distance 1: a disk of this radius has the variance of the
                pixel's footprint (Barron et al. 2021, section 3.1). Of an orthographic camera,
                whose rays are cylinders, at every distance
    """

    origins: Float[Array, '*b n 3']
    directions: Float[Array, '*b n 3']
    radii: Float[Array, '*b n']


def project(
    camera: Camera, points: Float[Array, '*b n 3']
) -> tuple[Float[Array, '*b n 2'], Float[Array, '*b n']]:
    """Pixels and depths (z in the camera) of points of the world.

    Depth is <= 0 behind the camera; pixels are finite everywhere, but those of a pinhole camera
    mean nothing there. Points that a lens was not measured for, far outside the image, may be bent
    into it.
    """
    points = transformed(camera.pose, points)
    depth = points[..., 2]
    if camera.model == 'orthographic':
        image = points[..., :2]
    elif camera.model == 'fisheye':
        image = fisheye.image(camera.lens, points)
    else:
        image = pinhole.distort(camera.lens, _plane(points))
    return image * camera.focal[..., None, :] + camera.center[..., None, :], depth


class Place(NamedTuple):
    """The pixel that a point falls into; row and column are 0 where that is not in the image, or
    not in front of the camera."""

    row: Int[Array, '*b n']
    column: Int[Array, '*b n']
    depth: Float[Array, '*b n']
    within: Bool[Array, '*b n']


def placed(camera: Camera, points: Float[Array, '*b n 3']) -> Place:
    """Where points of the world fall."""
    pixels, depth = project(camera, points)
    inside = (pixels >= 0) & (pixels < jnp.array([camera.width, camera.height]))
    within = (depth > 0) & inside.all(-1)
    column, row = jnp.moveaxis(jnp.where(within[..., None], pixels, 0).astype(jnp.int32), -1, 0)
    return Place(row, column, depth, within)


def _plane(points):
    """Points / z. Those behind or beside the camera are far away on their side of the image."""
    square = jnp.square(points[..., :2]).sum(-1)
    z = points[..., 2]
    seen = (z > 0) & (square < z * z * WIDEST**2)
    beside = jnp.sqrt(jnp.maximum(square, TINY)) / WIDEST
    return points[..., :2] / jnp.where(seen, z, beside)[..., None]


def rays(camera: Camera, pixels: Float[Array, '*b n 2']) -> Rays:
    """What pixels (x, y) see; pixels need not be centers, nor inside the image."""
    image = (pixels - camera.center[..., None, :]) / camera.focal[..., None, :]
    back = inverse(camera.pose)
    if camera.model == 'orthographic':
        inside = jnp.concatenate([image, jnp.zeros_like(image[..., :1])], axis=-1)
        origins = transformed(back, inside)
        directions = jnp.broadcast_to(back[..., None, :, 2], origins.shape)
        area = jnp.ones_like(image[..., 0])
    else:
        inside, area = _directions(camera, image)
        directions = normalized(rotated(back[..., :3], inside))
        origins = jnp.broadcast_to(back[..., None, :, 3], directions.shape)
    # A pixel's variance is 1/12 of its area, a disk's r²/4.
    area = area / (3 * camera.focal.prod(-1)[..., None])
    return Rays(origins, directions, jnp.sqrt(jnp.maximum(area, TINY**2)))


def unproject(
    camera: Camera, pixels: Float[Array, '*b n 2'], depth: Float[Array, '*b n']
) -> Float[Array, '*b n 3']:
    """The points of the world that appear at pixels with depths (z in the camera)."""
    image = (pixels - camera.center[..., None, :]) / camera.focal[..., None, :]
    if camera.model == 'orthographic':
        inside = jnp.concatenate([image, depth[..., None]], axis=-1)
    else:
        inside, _ = _directions(camera, image)
        forward = inside[..., 2]
        # At a right angle to the axis depth says nothing.
        forward = jnp.where(jnp.abs(forward) < TINY, TINY, forward)
        inside = inside * (depth / forward)[..., None]
    return transformed(inverse(camera.pose), inside)


def _directions(camera, image):
    """Directions in the camera and the solid angle that an area of the image of focal length 1
    covers."""
    if camera.model == 'fisheye':
        return fisheye.directions(camera.lens, image)
    plane = pinhole.undistort(camera.lens, image)
    square = 1 + jnp.square(plane).sum(-1)
    area = 1 / (square * jnp.sqrt(square) * pinhole.enlargement(camera.lens, plane))
    return jnp.concatenate([plane, jnp.ones_like(plane[..., :1])], axis=-1), area
