"""Ways of a camera through a scene, as a Camera whose leading axis is time."""

from dataclasses import replace

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera
from jaxcv.cameras.poses import compose, inverse, look_at
from jaxcv.cameras.rotations import (
    matrix_to_quaternion,
    normalized,
    product,
    quaternion_to_matrix,
    slerp,
    so3_exp,
)
from jaxcv.errors import UserError


def orbit(
    camera: Camera,
    target: Float[Array, '3'],
    up: Float[Array, '3'],
    count: int,
    turns: float = 1.0,
) -> Camera:
    """`count` cameras on a circle: one camera, turned about the axis `up` through `target`,
    counterclockwise seen from above. Whole turns close: the last is one step before the first."""
    target = jnp.asarray(target, camera.pose.dtype)
    up = normalized(jnp.asarray(up, camera.pose.dtype))
    back = so3_exp(-_angles(count, turns, up.dtype)[:, None] * up)
    moved = (target - product(back, target[:, None])[..., 0])[..., None]
    return _along(camera, compose(camera.pose, jnp.concatenate([back, moved], axis=-1)))


def spiral(
    camera: Camera,
    focus: float | Float[Array, ''],
    radii: float | Float[Array, '3'],
    count: int,
    turns: float = 2.0,
    rate: float = 0.5,
) -> Camera:
    """`count` cameras around one camera (`average`), that all look at the point at depth `focus`
    on its axis: in its coordinates they stand at radii (cos a, sin a, sin(rate a)) while a makes
    `turns` (Mildenhall et al. 2019)."""
    angles = _angles(count, turns, camera.pose.dtype)
    circle = jnp.stack([jnp.cos(angles), jnp.sin(angles), jnp.sin(rate * angles)], axis=-1)
    target = jnp.array([0, 0, 1], circle.dtype) * focus
    local = look_at(circle * radii, target, jnp.array([0, -1, 0], circle.dtype))
    return _along(camera, compose(local, camera.pose))


def average(camera: Camera) -> Camera:
    """One camera in the middle of several: its eye, forward, up and optics are their means."""
    back = inverse(camera.pose).mean(0)
    eye, forward, down = back[:, 3], back[:, 2], back[:, 1]
    optics = jax.tree.map(lambda leaf: leaf.mean(0), camera)
    return replace(optics, pose=look_at(eye, eye + forward, -down))


def interpolated(camera: Camera, times: Float[Array, 'n']) -> Camera:
    """Cameras at times from 0 (the first of k given ones) to k - 1 (the last): eyes along a
    Catmull-Rom spline, rotations by slerp, optics linearly."""
    count = len(camera)
    if count < 2:
        raise UserError('a path leads from camera to camera, but there is one: give at least 2')
    first = jnp.clip(jnp.floor(times), 0, count - 2).astype(int)
    part = times - first
    before, after = camera[first], camera[first + 1]
    quaternions = (
        matrix_to_quaternion(before.pose[..., :3]),
        matrix_to_quaternion(after.pose[..., :3]),
    )
    rotation = quaternion_to_matrix(slerp(*quaternions, part))
    eyes = _catmull_rom(inverse(camera.pose)[..., 3], first, part[:, None])
    pose = jnp.concatenate([rotation, -product(rotation, eyes[..., None])], axis=-1)
    optics = jax.tree.map(lambda a, b: a + (b - a) * _like(part, a), before, after)
    return replace(optics, pose=pose)


def _catmull_rom(points, first, part):
    """The spline through points, which goes straight on beyond its ends."""
    points = jnp.concatenate(
        [2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]]
    )
    a, b, c, d = (points[first + i] for i in range(4))
    cubic = 3 * (b - c) + d - a
    square = 2 * a - 5 * b + 4 * c - d
    return b + part / 2 * (c - a + part * (square + part * cubic))


def _angles(count, turns, dtype):
    return 2 * jnp.pi * turns / count * jnp.arange(count, dtype=dtype)


def _like(part, leaf):
    return part.reshape(-1, *[1] * (leaf.ndim - 1))


def _along(camera, poses):
    """The camera at each of the poses."""
    every = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(poses), *leaf.shape)), camera)
    return replace(every, pose=poses)
