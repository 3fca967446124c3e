"""Poses of others: by where things appear in a camera of theirs."""

import numpy as np
from jax import numpy as jnp
from scipy.spatial.transform import Rotation
from views import points, pose

from jaxcv import cameras
from jaxcv.cameras import conventions


def test_opengl():
    """A Blender camera at (0, -4, 1), upright, that looks along +y."""
    camera_to_world = np.eye(4, dtype='f')
    camera_to_world[:3] = [[1, 0, 0, 0], [0, 0, -1, -4], [0, 1, 0, 1]]
    found = conventions.from_opengl(camera_to_world)
    inside = cameras.transformed(found, jnp.array([[0.0, 0, 1], [1, 0, 1], [0, 0, 2]]))
    # Ahead; right of that; above it, where y is negative.
    np.testing.assert_allclose(inside, [[0, 0, 4], [1, 0, 4], [0, -1, 4]], atol=1e-6)
    np.testing.assert_allclose(conventions.to_opengl(found), camera_to_world[:3], atol=1e-6)
    looked = cameras.look_at(
        jnp.array([0.0, -4, 1]), jnp.array([0.0, 0, 1]), jnp.array([0.0, 0, 1])
    )
    np.testing.assert_allclose(looked, found, atol=1e-6)
    many = jnp.stack([pose(0), pose(1)])
    back = conventions.from_opengl(conventions.to_opengl(many))
    np.testing.assert_allclose(back, many, atol=1e-5)


def test_colmap():
    rotation = Rotation.random(6, random_state=0)
    quaternion, translation = rotation.as_quat(scalar_first=True), np.arange(18.0).reshape(6, 3)
    found = conventions.from_colmap(quaternion.astype('f'), translation.astype('f'))
    x = points(6)
    expected = rotation.apply(x) + translation
    np.testing.assert_allclose(cameras.transformed(found, x[:, None])[:, 0], expected, atol=1e-5)
    q, t = conventions.to_colmap(found)
    np.testing.assert_allclose(q, np.sign(quaternion[:, :1]) * quaternion, atol=1e-6)
    np.testing.assert_array_equal(t, translation)
