"""Poses: the group they form, twists against the matrix exponential, where look_at looks."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from views import points, pose

from jaxcv import cameras

se3_exp, se3_log = jax.jit(cameras.se3_exp), jax.jit(cameras.se3_log)
slope_there_and_back = jax.jit(
    jax.vmap(jax.jacrev(lambda twist: cameras.se3_log(cameras.se3_exp(twist))))
)


def square(pose):
    return np.concatenate([pose, [[0, 0, 0, 1]]])


def generator(twist):
    """The 4 x 4 matrix whose exponential is the pose."""
    (x, y, z), v = twist[:3], twist[3:]
    return np.array([[0, -z, y, v[0]], [z, 0, -x, v[1]], [-y, x, 0, v[2]], [0, 0, 0, 0]])


def test_group():
    a, b = pose(0), pose(1)
    np.testing.assert_allclose(square(cameras.compose(a, b)), square(a) @ square(b), atol=1e-5)
    np.testing.assert_allclose(square(cameras.inverse(a)), np.linalg.inv(square(a)), atol=1e-5)
    x = points(7)
    twice = cameras.transformed(a, cameras.transformed(b, x))
    np.testing.assert_allclose(cameras.transformed(cameras.compose(a, b), x), twice, atol=1e-5)


@pytest.mark.parametrize('angle', [0, 1e-9, 1e-4, 0.3, 1.0, 2.0, 3.1])
def test_twists(angle):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        axes = Rotation.random(3, random_state=1).apply([1, 0, 0])
        twists = np.concatenate([angle * axes, rng.normal(size=(3, 3))], 1)
        found = se3_exp(twists)
        expected = np.stack([expm(generator(twist))[:3] for twist in twists])
        np.testing.assert_allclose(found, expected, atol=1e-13)
        np.testing.assert_allclose(se3_log(expected), twists, atol=1e-12)
        slope = slope_there_and_back(twists)
        np.testing.assert_allclose(slope, np.broadcast_to(np.eye(6), (3, 6, 6)), atol=1e-9)
        check_grads(se3_exp, (twists,), 1, ('rev',), eps=1e-5, rtol=1e-6)


def test_look_at():
    rng = np.random.default_rng(0)
    eye, target = rng.normal(size=(2, 8, 3)).astype('f')
    up = np.float32([0, 0, 2])
    found = jax.jit(cameras.look_at)(eye, target, up)
    rotation = np.asarray(found[..., :3])
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(1, 2), np.stack([np.eye(3)] * 8), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)
    inside = jax.jit(jax.vmap(cameras.transformed))
    np.testing.assert_allclose(inside(found, eye[:, None]), 0, atol=1e-6)
    ahead = inside(found, target[:, None])[:, 0]
    np.testing.assert_allclose(ahead[:, :2], 0, atol=1e-6)
    np.testing.assert_allclose(ahead[:, 2], np.linalg.norm(target - eye, axis=-1), rtol=1e-6)
    above = inside(found, (target + up / 10)[:, None])[:, 0]
    np.testing.assert_allclose(above[:, 0], 0, atol=1e-6)
    assert (above[:, 1] < 0).all()  # y points down


@pytest.mark.parametrize('up', [[0, 0, 1], [0, 0, -1], [1, 1, 1], [0.6, 0, 0.8]])
def test_look_at_along_up(up):
    up = jnp.array(up, jnp.float32)
    rotation = cameras.look_at(3 * up, jnp.zeros(3), up)[:, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(rotation[2], -up / np.linalg.norm(up), atol=1e-6)
