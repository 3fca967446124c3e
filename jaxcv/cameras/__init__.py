"""Cameras: what they see, where they stand, how they move.

World-to-camera poses [R | t] with OpenCV's axes (x right, y down, z forward); pixels (x, y) with
centers at +0.5; quaternions (w, x, y, z); twists (rotation vector, translation).
"""

from jaxcv.cameras.camera import (
    Camera,
    cropped,
    focal_length,
    make,
    pixel_centers,
    pixel_grid,
    refined,
    resized,
    scaled,
)
from jaxcv.cameras.paths import average, interpolated, orbit, spiral
from jaxcv.cameras.poses import compose, inverse, look_at, se3_exp, se3_log, transformed
from jaxcv.cameras.projection import Rays, placed, project, rays, unproject
from jaxcv.cameras.rotations import (
    matrix_to_quaternion,
    quaternion_to_matrix,
    slerp,
    so3_exp,
    so3_log,
)

__all__ = [
    'Camera',
    'Rays',
    'average',
    'compose',
    'cropped',
    'focal_length',
    'interpolated',
    'inverse',
    'look_at',
    'make',
    'matrix_to_quaternion',
    'orbit',
    'pixel_centers',
    'pixel_grid',
    'placed',
    'project',
    'quaternion_to_matrix',
    'rays',
    'refined',
    'resized',
    'scaled',
    'se3_exp',
    'se3_log',
    'slerp',
    'so3_exp',
    'so3_log',
    'spiral',
    'transformed',
    'unproject',
]
