"""Rotations against scipy's, and their derivatives at the identity and near half a turn."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads
from scipy.spatial.transform import Rotation, Slerp

from jaxcv.cameras import angles, rotations

RANDOM = Rotation.random(200, random_state=0)
AXES = Rotation.random(3, random_state=1).apply([1, 0, 0])
# From nothing to all but half a turn.
ANGLES = [0, 1e-12, 1e-7, 1e-3, 0.5, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-7]

there_and_back = jax.jit(lambda vector: rotations.so3_log(rotations.so3_exp(vector)))
slope_there_and_back = jax.jit(jax.vmap(jax.jacrev(there_and_back)))
so3_exp, so3_log = jax.jit(rotations.so3_exp), jax.jit(rotations.so3_log)
slope_of_log = jax.jit(jax.vmap(jax.jacrev(rotations.so3_log)))
slerp = jax.jit(rotations.slerp)
slope_of_slerp = jax.jit(jax.jacrev(rotations.slerp, (0, 1)))


def as_wxyz(rotation):
    return rotation.as_quat(scalar_first=True)


def same(a, b, atol):
    """Quaternions up to their sign."""
    np.testing.assert_allclose(np.abs((np.asarray(a) * b).sum(-1)), 1, atol=atol)


@pytest.mark.parametrize('dtype,atol', [('f', 1e-6), ('d', 1e-14)])
def test_against_scipy(dtype, atol):
    other = Rotation.random(200, random_state=2)
    with jax.enable_x64(dtype == 'd'):
        q, p, matrix = (
            x.astype(dtype) for x in (as_wxyz(RANDOM), as_wxyz(other), RANDOM.as_matrix())
        )
        found = jax.jit(rotations.quaternion_to_matrix)(3 * q)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, RANDOM.as_matrix(), atol=atol)
        found = jax.jit(rotations.matrix_to_quaternion)(matrix)
        assert found.dtype == dtype and (found[:, 0] >= 0).all()
        np.testing.assert_allclose(found, np.sign(q[:, :1]) * q, atol=2 * atol)
        same(jax.jit(rotations.multiply)(q, p), as_wxyz(RANDOM * other), atol)
        same(rotations.conjugate(q), as_wxyz(RANDOM.inv()), atol)
        for length in (1, 0.1, 1e-4):
            vector = (RANDOM.as_rotvec() * length).astype(dtype)
            expected = Rotation.from_rotvec(RANDOM.as_rotvec() * length)
            np.testing.assert_allclose(so3_exp(vector), expected.as_matrix(), atol=2 * atol)
            same(jax.jit(rotations.quaternion_exp)(vector), as_wxyz(expected), atol)
            found = so3_log(expected.as_matrix().astype(dtype))
            np.testing.assert_allclose(found, vector, atol=10 * atol)


@pytest.mark.parametrize('angle', ANGLES)
def test_log_is_the_inverse_of_exp(angle):
    with jax.enable_x64(True):
        vectors = angle * AXES
        np.testing.assert_allclose(there_and_back(vectors), vectors, atol=1e-14)
        slope = slope_there_and_back(vectors)
        np.testing.assert_allclose(slope, np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-12)
    if angle > 3.1:
        return  # float32 cannot tell a turn from the opposite one
    vectors = vectors.astype(np.float32)
    np.testing.assert_allclose(there_and_back(vectors), vectors, atol=2e-6)
    slope = slope_there_and_back(vectors)
    np.testing.assert_allclose(slope, np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-4)


def test_half_turns():
    """Where the sign of the axis is open, and three of Shepperd's four cases are."""
    for axis in np.eye(3), AXES, -AXES, _unit([[1, 1, 0], [0, 1, -1], [1, 1, 1]]):
        matrix = jnp.asarray(Rotation.from_rotvec(np.pi * axis).as_matrix(), jnp.float32)
        found = so3_log(matrix)
        np.testing.assert_allclose(np.linalg.norm(found, axis=-1), np.pi, atol=1e-5)
        np.testing.assert_allclose(so3_exp(found), matrix, atol=2e-6)
        slope = slope_of_log(matrix)
        assert np.isfinite(slope).all() and np.abs(slope).max() < 10


def _unit(x):
    return np.array(x) / np.linalg.norm(x, axis=-1, keepdims=True)


def test_gradients():
    with jax.enable_x64(True):
        q, matrix = jnp.asarray(as_wxyz(RANDOM[:4])), jnp.asarray(RANDOM[:4].as_matrix())
        check_grads(jax.jit(rotations.quaternion_to_matrix), (q,), 1, ('rev',), eps=1e-5, rtol=1e-6)
        check_grads(
            jax.jit(rotations.matrix_to_quaternion), (matrix,), 1, ('rev',), eps=1e-5, rtol=1e-6
        )
        vectors = jnp.asarray(np.array([0, 1e-3, 1, 2.5])[:, None, None] * AXES)
        check_grads(so3_exp, (vectors,), 2, ('rev',), eps=1e-5, rtol=1e-5)


def test_slerp():
    a, b = RANDOM[:20], Rotation.random(20, random_state=3)
    t = np.linspace(0, 1, 7)
    expected = [
        Slerp([0, 1], Rotation.concatenate([one, two]))(t) for one, two in zip(a, b, strict=True)
    ]
    flipped = np.where(np.arange(20) % 2, 1, -1)[:, None] * as_wxyz(b)  # the same rotations
    found = slerp(*(jnp.asarray(x[:, None], jnp.float32) for x in (as_wxyz(a), flipped)), t)
    same(found, np.stack([as_wxyz(x) for x in expected]), 1e-6)


def test_slerp_between_equals():
    q = jnp.asarray(as_wxyz(RANDOM[:1])[0], jnp.float32)
    for other in (q, -q):
        slopes = slope_of_slerp(q, other, 0.3)
        assert np.isfinite(slopes).all()
        same(slerp(q, other, 0.3), q, 1e-6)


def test_stumpff_functions():
    """Against their definitions, on both sides of where the series ends."""
    with jax.enable_x64(True):
        a = np.array([0.3, 0.9, 0.999999, 1.000001, 1.5, 3.0])
        closed = [np.cos(a), np.sin(a) / a, (1 - np.cos(a)) / a**2, (a - np.sin(a)) / a**3]
        closed.append((0.5 - closed[2]) / a**2)
        for order, expected in enumerate(closed):
            function = jax.vmap(jax.value_and_grad(lambda u, order=order: angles.stumpff(order, u)))
            found, slope = jax.jit(function)(jnp.asarray(a**2))
            np.testing.assert_allclose(found, expected, rtol=1e-12)
            # c_k' = (k c_{k+2} - c_{k+1}) / 2
            if order < 3:
                np.testing.assert_allclose(
                    slope, (order * closed[order + 2] - closed[order + 1]) / 2, rtol=1e-11
                )


def test_angle_per_length():
    with jax.enable_x64(True):
        function = jax.jit(angles.angle)
        for z in (1.0, 1e-3, 50.0):
            a = z * np.array([1e-6, 0.01, 0.1999, 0.2001, 1.0, 30.0])
            found = function(a**2, z)
            np.testing.assert_allclose(found, np.arctan2(a, z) / a, rtol=1e-14)
        np.testing.assert_allclose(function(4.0, -1.0), np.arctan2(2, -1) / 2)
        slope = jax.jit(jax.grad(angles.angle, (0, 1)))(0.0, 2.0)
        np.testing.assert_allclose(slope, [-1 / 24, -1 / 4])
