"""From the numbers in files to cameras: intrinsics by name, and poses that are rotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from jaxcv.cameras import Camera
from jaxcv.cameras.camera import LENSES
from jaxcv.data.captures.pictures import Size
from jaxcv.errors import UserError

LENS = {
    'pinhole': ('k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6'),
    'fisheye': ('k1', 'k2', 'k3', 'k4'),
    'orthographic': (),
}
ROUNDED = 1e-6  # how far from a rotation single precision and seven digits leave a matrix
CLOSE = 1e-3  # and how far a few digits do


class Intrinsics(NamedTuple):
    """How a photograph was taken, in pixels of one that has `size`."""

    model: str  # of `Camera`
    size: Size
    focal: tuple[float, float]
    center: tuple[float, float]
    lens: tuple[float, ...]  # as `LENS` orders them


def lens(model: str, named: Mapping[str, float]) -> tuple[float, ...]:
    """Coefficients in the order of `Camera`; those without a name are 0."""
    return tuple(float(named.get(name, 0)) for name in LENS[model])


def cameras(
    poses: Float64[np.ndarray, 'n 3 4'],
    intrinsics: Sequence[Intrinsics],
    images: Sequence[Path],
    size: Size,
) -> Camera:
    """Cameras of images of `size`, from intrinsics that may be those of larger ones."""
    for one, image in zip(intrinsics, images, strict=True):
        (width, height), (w, h) = one.size, size
        if not min(*one.size, *one.focal) > 0:
            raise UserError(
                f'the camera of {image} is of {width}x{height} with the focal length '
                f'{one.focal[0]}, {one.focal[1]}, but all of these must be positive'
            )
        if abs(width * h - height * w) > width + height:  # more than a pixel of rounding
            raise UserError(
                f'{image} is {w}x{h}, but its camera is of {width}x{height}, which is of another '
                'shape: give the images that the cameras were found with, or resized ones'
            )
        if one.model != intrinsics[0].model:
            raise UserError(
                f'the cameras of a capture must be of one model, but {images[0]} is '
                f'{intrinsics[0].model} and {image} is {one.model}'
            )
    model = intrinsics[0].model
    factor = np.array(size) / np.array([one.size for one in intrinsics])
    coefficients = np.array([one.lens for one in intrinsics], np.float64)
    used = next(n for n in LENSES[model] if not coefficients[:, n:].any())
    return Camera(
        pose=poses,
        focal=factor * np.array([one.focal for one in intrinsics]),
        center=factor * np.array([one.center for one in intrinsics]),
        lens=coefficients[:, :used],
        width=size[0],
        height=size[1],
        model=model,
    )


def rigid(
    matrices: Float64[np.ndarray, 'n 3 4'], images: Sequence[Path]
) -> Float64[np.ndarray, 'n 3 4']:
    """The poses [R | t], once they are known to be some; an R of few digits becomes the nearest
    rotation."""
    rotation = matrices[:, :, :3]
    finite = np.isfinite(matrices).all((1, 2))
    safe = np.where(finite[:, None, None], rotation, 0)
    error = np.abs(safe @ safe.swapaxes(1, 2) - np.eye(3)).max((1, 2))
    wrong = np.flatnonzero((error > CLOSE) | (np.linalg.det(safe) < 0))
    if len(wrong):
        what = 'a rotation' if finite[wrong[0]] else 'finite'
        raise UserError(
            f'{len(wrong)} of {len(matrices)} poses are no rotations with a shift: the first, of '
            f'{images[wrong[0]]}, is not {what}'
        )
    left, _, right = np.linalg.svd(rotation)
    repaired = np.where((error > ROUNDED)[:, None, None], left @ right, rotation)
    return np.concatenate([repaired, matrices[:, :, 3:]], axis=2)


def from_opengl(pose: Float64[np.ndarray, 'n 3 4']) -> Float64[np.ndarray, 'n 3 4']:
    """World-to-camera poses with OpenCV's axes from camera-to-world with OpenGL's (x right, y up,
    z backward)."""
    rotation = (pose[:, :, :3] * [1, -1, -1]).swapaxes(1, 2)
    shift = -rotation @ pose[:, :, 3:]
    # On a grid of 2^-44 of its length, so that a shift that is written and read again is the same:
    # inverting twice leaves a rounding error.
    _, exponent = np.frexp(np.abs(shift).max((1, 2), keepdims=True).astype(np.float32))
    grid = np.ldexp(1.0, exponent - 44)
    return np.concatenate([rotation, np.round(shift / grid) * grid], axis=2)


def to_opengl(pose: Float64[np.ndarray, 'n 3 4']) -> Float64[np.ndarray, 'n 3 4']:
    """The inverse of `from_opengl`."""
    rotation = pose[:, :, :3]
    origin = np.linalg.solve(rotation, -pose[:, :, 3:])  # exact also where R is rounded
    return np.concatenate([rotation.swapaxes(1, 2) * [1, -1, -1], origin], axis=2)
