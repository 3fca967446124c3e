"""Poses as others write them.

OpenGL and Blender: camera to world, x right, y up, z backward (NeRF's files). COLMAP: world to
camera with our axes, as a quaternion (w, x, y, z) and a translation; its pixel centers are at +0.5
as ours. OpenCV's are at +0: add 0.5 to a principal point that it calibrated.
"""

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.poses import inverse
from jaxcv.cameras.rotations import matrix_to_quaternion, quaternion_to_matrix

FLIP = (1, -1, -1, 1)  # y and z of the camera


def from_opengl(
    camera_to_world: Float[Array, '*b 3 4'] | Float[Array, '*b 4 4'],
) -> Float[Array, '*b 3 4']:
    """The pose of an OpenGL camera; the last row of a 4 x 4 matrix is not read."""
    matrix = jnp.asarray(camera_to_world)[..., :3, :]
    return inverse(matrix * jnp.array(FLIP, matrix.dtype))


def to_opengl(pose: Float[Array, '*b 3 4']) -> Float[Array, '*b 3 4']:
    """OpenGL's camera to world."""
    return inverse(pose) * jnp.array(FLIP, pose.dtype)


def from_colmap(
    quaternion: Float[Array, '*b 4'], translation: Float[Array, '*b 3']
) -> Float[Array, '*b 3 4']:
    """The pose of COLMAP's QW QX QY QZ, TX TY TZ."""
    rotation = quaternion_to_matrix(jnp.asarray(quaternion))
    return jnp.concatenate([rotation, jnp.asarray(translation)[..., None]], axis=-1)


def to_colmap(
    pose: Float[Array, '*b 3 4'],
) -> tuple[Float[Array, '*b 4'], Float[Array, '*b 3']]:
    """COLMAP's QW QX QY QZ (QW >= 0) and TX TY TZ."""
    return matrix_to_quaternion(pose[..., :3]), pose[..., 3]
