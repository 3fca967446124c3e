"""What COLMAP's files hold, apart from whether they are text or binary."""

from typing import NamedTuple

import numpy as np

from jaxcv.data.captures.capture import Points
from jaxcv.errors import UserError

# Those that a `Camera` can be: (number, model of `Camera`, names of the parameters).
MODELS = {
    'SIMPLE_PINHOLE': (0, 'pinhole', 'f cx cy'),
    'PINHOLE': (1, 'pinhole', 'fx fy cx cy'),
    'SIMPLE_RADIAL': (2, 'pinhole', 'f cx cy k1'),
    'RADIAL': (3, 'pinhole', 'f cx cy k1 k2'),
    'OPENCV': (4, 'pinhole', 'fx fy cx cy k1 k2 p1 p2'),
    'OPENCV_FISHEYE': (5, 'fisheye', 'fx fy cx cy k1 k2 k3 k4'),
    'FULL_OPENCV': (6, 'pinhole', 'fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6'),
    'SIMPLE_RADIAL_FISHEYE': (8, 'fisheye', 'f cx cy k1'),
    'RADIAL_FISHEYE': (9, 'fisheye', 'f cx cy k1 k2'),
    'SIMPLE_FISHEYE': (14, 'fisheye', 'f cx cy'),
    'FISHEYE': (15, 'fisheye', 'fx fy cx cy'),
}
NUMBERS = {number: name for name, (number, _, _) in MODELS.items()}


class Lens(NamedTuple):
    """A line of cameras.txt."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


class Registered(NamedTuple):
    """A photograph whose pose was found."""

    name: str
    camera: int
    quaternion: tuple[float, ...]  # world to camera, (w, x, y, z)
    shift: tuple[float, ...]


class Model(NamedTuple):
    """A folder such as sparse/0."""

    cameras: dict[int, Lens]
    images: list[Registered]
    points: Points | None


def unknown(where: str, model: object) -> UserError:
    """For a camera that has no place in `MODELS`."""
    return UserError(
        f'{where} is of model {model}, but only {", ".join(MODELS)} can be read: undistort the '
        "images with COLMAP's image_undistorter"
    )


def by_number(number: np.ndarray, xyz: np.ndarray, rgb: np.ndarray) -> Points | None:
    """Points in the order of their numbers, which does not depend on the file; None if empty."""
    order = np.argsort(number)
    return Points(xyz[order], rgb[order]) if len(number) else None
