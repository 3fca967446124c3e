"""Where cameras on paths stand and look."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation, Slerp
from views import LENSES, camera

from jaxcv import cameras
from jaxcv.errors import UserError

UP = np.float32([0.6, 0, 0.8])
TARGET = np.float32([1, 2, 3])

orbit = jax.jit(cameras.orbit, static_argnames=('count', 'turns'))
spiral = jax.jit(cameras.spiral, static_argnames=('count', 'turns', 'rate'))
average, interpolated, look_at = map(
    jax.jit, (cameras.average, cameras.interpolated, cameras.look_at)
)
inside = jax.jit(jax.vmap(cameras.transformed, (0, None)))


def looking(eye):
    pose = look_at(np.float32(eye), TARGET, UP)
    return cameras.make(pose, 50.0, 64, 48, lens=LENSES['pinhole5'][1])


def eyes(many):
    return np.asarray(cameras.inverse(many.pose)[..., 3])


def test_orbit():
    one = looking([4, 0, 6])
    many = orbit(one, TARGET, 3 * UP, 8)
    np.testing.assert_allclose(many.pose[0], one.pose, atol=1e-6)
    np.testing.assert_array_equal(many.lens, np.broadcast_to(one.lens, (8, 5)))
    center = np.asarray(inside(many.pose, TARGET[None]))
    np.testing.assert_allclose(center, np.broadcast_to(center[0], center.shape), atol=1e-5)
    # Steps of 45 degrees about UP, the right-hand way.
    turn = Rotation.from_rotvec(np.pi / 4 * UP)
    found = eyes(many) - TARGET
    np.testing.assert_allclose(found[1:], turn.apply(found[:-1]), atol=1e-5)
    np.testing.assert_allclose(found[0], turn.apply(found[-1]), atol=1e-5)
    half = orbit(one, TARGET, UP, 4, turns=0.5)
    np.testing.assert_allclose(half.pose, many.pose[:4], atol=1e-5)


def test_spiral():
    one = looking([4, 0, 6])
    many = spiral(one, 2.5, np.float32([0.3, 0.2, 0.1]), 16)
    back = np.asarray(cameras.inverse(one.pose))
    focus = back[:, 3] + 2.5 * back[:, 2]
    np.testing.assert_allclose(inside(many.pose, focus[None])[:, 0, :2], 0, atol=1e-5)
    angles = 4 * np.pi * np.arange(16) / 16
    offsets = np.stack([0.3 * np.cos(angles), 0.2 * np.sin(angles), 0.1 * np.sin(angles / 2)], -1)
    found = cameras.transformed(one.pose, eyes(many))
    np.testing.assert_allclose(found, offsets, atol=1e-5)
    assert (np.einsum('nj,j->n', many.pose[:, 1, :3], one.pose[1, :3]) > 0.9).all()  # upright


def test_average():
    one = looking([4, 0, 6])
    many = orbit(one, TARGET, UP, 12)
    found = average(many)
    expected = TARGET + UP * ((eyes(one) - TARGET) @ UP)
    np.testing.assert_allclose(eyes(found), expected, atol=1e-5)
    assert found.pose.shape == (3, 4)
    np.testing.assert_allclose(found.lens, one.lens, rtol=1e-5)
    same = jax.tree.map(lambda x: jnp.stack([x] * 3), one)
    np.testing.assert_allclose(average(same).pose, one.pose, atol=1e-5)


def test_interpolated():
    ones = [camera('pinhole5', seed) for seed in range(4)]
    many = jax.tree.map(lambda *x: jnp.stack(x), *ones)
    times = np.linspace(0, 3, 13).astype('f')
    found = interpolated(many, times)
    np.testing.assert_allclose(found.pose[::4], many.pose, atol=1e-5)
    rotation = Slerp(range(4), Rotation.from_matrix(many.pose[:, :, :3]))(times)
    np.testing.assert_allclose(found.pose[..., :3], rotation.as_matrix(), atol=1e-5)
    given = eyes(many)
    slope = np.gradient(given, axis=0)
    spline = CubicHermiteSpline(range(4), given, slope)
    np.testing.assert_allclose(eyes(found), spline(times), atol=1e-5)
    # Optics too.
    zoom = cameras.make(many.pose[:2], jnp.array([[50.0, 50], [100, 80]]), 64, 48)
    halfway = interpolated(zoom, jnp.array([0.5]))
    np.testing.assert_allclose(halfway.focal, [[75, 65]])


def test_paths_need_two_cameras():
    with pytest.raises(UserError, match='at least 2'):
        cameras.interpolated(camera('pinhole0')[None], jnp.zeros(1))
