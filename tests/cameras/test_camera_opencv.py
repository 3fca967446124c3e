"""The lenses are OpenCV's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy.spatial.transform import Rotation
from views import LENSES, camera, pixels

from jaxcv import cameras

pytestmark = pytest.mark.oracles


def theirs(one):
    matrix = np.diag([*one.focal, 1.0])
    matrix[:2, 2] = one.center
    vector = Rotation.from_matrix(one.pose[:, :3]).as_rotvec()
    return vector, np.asarray(one.pose[:, 3]), matrix


@pytest.mark.parametrize('name', [name for name in LENSES if name != 'orthographic'])
def test_projection(name):
    cv2 = pytest.importorskip('cv2')
    with jax.enable_x64(True):
        one = camera(name, 1, np.float64)
        inside = np.random.default_rng(0).normal(size=(200, 3)) * [1, 1, 0.2] + [0, 0, 2]
        inside[0] = [0, 0, 2]
        world = cameras.transformed(cameras.inverse(one.pose), jnp.asarray(inside))
        lens = np.zeros(8 if one.model == 'pinhole' else 4)
        lens[: one.lens.size] = one.lens
        function = cv2.projectPoints if one.model == 'pinhole' else cv2.fisheye.projectPoints
        expected, _ = function(np.asarray(world)[:, None], *theirs(one), lens)
        found, depth = jax.jit(cameras.project)(one, world)
        np.testing.assert_allclose(found, expected[:, 0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(depth, inside[:, 2])


@pytest.mark.parametrize('name', ['pinhole4', 'pinhole5', 'pinhole8', 'fisheye4'])
def test_undistortion(name):
    cv2 = pytest.importorskip('cv2')
    with jax.enable_x64(True):
        one, x = camera(name, 1, np.float64), pixels(200, dtype=np.float64)
        arguments = np.asarray(x)[:, None], theirs(one)[2], np.asarray(one.lens), None, None
        criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 500, 1e-14)
        if one.model == 'pinhole':
            expected = cv2.undistortPointsIter(*arguments, criteria)[:, 0]
        else:
            expected = cv2.fisheye.undistortPoints(*arguments, criteria=criteria)[:, 0]
        directions = jax.jit(cameras.rays)(one, x).directions @ one.pose[:, :3].T
        found = directions[:, :2] / directions[:, 2:]
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_poses():
    """One way from rotation vectors to pixels, for both: increments on the left are theirs."""
    cv2 = pytest.importorskip('cv2')
    with jax.enable_x64(True):
        one = camera('pinhole5', 1, np.float64)
        world = np.random.default_rng(0).normal(size=(20, 3)) / 2
        twist = np.array([0.1, -0.2, 0.3, 0.02, 0.03, -0.1])
        moved = cameras.refined(one, jnp.asarray(twist))
        step = np.asarray(cameras.se3_exp(jnp.asarray(twist)))
        vector, translation, matrix = theirs(one)
        rotation, translation = cv2.composeRT(vector, translation, twist[:3], step[:, 3])[:2]
        expected, _ = cv2.projectPoints(world, rotation, translation, matrix, np.asarray(one.lens))
        found, _ = cameras.project(moved, jnp.asarray(world))
        np.testing.assert_allclose(found, expected[:, 0], atol=1e-8)
