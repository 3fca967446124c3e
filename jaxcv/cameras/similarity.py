"""Cameras moved as a whole together with the world that they see, which no photograph can tell."""

from dataclasses import replace
from typing import NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera
from jaxcv.cameras.lines import nearest
from jaxcv.cameras.poses import inverse, rotated, transformed
from jaxcv.cameras.rotations import normalized, product


class Similarity(NamedTuple):
    """x becomes scale rotation x + shift."""

    scale: Float[Array, '']
    rotation: Float[Array, '3 3']
    shift: Float[Array, '3']


def centers(cameras: Camera) -> Float[Array, '*b 3']:
    """Where cameras stand."""
    return inverse(cameras.pose)[..., 3]


def similarity(old: Camera, new: Camera) -> Similarity:
    """What takes points of the world to where the same cameras, as `new`, see them as before.

    Centers of cameras, which others compare, say less about that: all can be too low, and look too
    high, without changing much of what is near the origin. So eight points around it are placed
    where the lines of sight of the new cameras come nearest to one another, and what takes the
    points there follows by least squares (Umeyama 1991).
    """
    points = jnp.stack(jnp.meshgrid(*[jnp.array([-0.5, 0.5])] * 3), axis=-1).reshape(-1, 3)
    every = jnp.broadcast_to(points, (len(old), *points.shape))
    seen = transformed(old.pose, every)  # in the cameras, and from there into the world again:
    said = transformed(inverse(new.pose), seen)
    sight = normalized(rotated(inverse(new.pose)[..., :3], seen))
    return _least_squares(points, nearest(said.swapaxes(0, 1), sight.swapaxes(0, 1)))


def _least_squares(points, targets):
    """The best similarity from n points to n others."""
    middles = points.mean(0), targets.mean(0)
    points, targets = points - middles[0], targets - middles[1]
    u, _, v = jnp.linalg.svd(product(targets.T, points))
    turn = jnp.array([1.0, 1.0, 0.0]) + jnp.array([0.0, 0.0, 1.0]) * jnp.linalg.det(product(u, v))
    rotation = product(u * turn, v)
    scale = (targets * product(points, rotation.T)).sum() / jnp.square(points).sum()
    shift = middles[1] - scale * product(rotation, middles[0][:, None])[:, 0]
    return Similarity(scale, rotation, shift)


def moved(cameras: Camera, by: Similarity) -> Camera:
    """Cameras that see the moved world as they saw it before."""
    turned = product(cameras.pose[..., :3], by.rotation.T)
    shift = by.scale * cameras.pose[..., 3:] - product(turned, by.shift[:, None])
    return replace(cameras, pose=jnp.concatenate([turned, shift], axis=-1))


def apart(first: Camera, second: Camera) -> tuple[Float[Array, '*b'], Float[Array, '*b']]:
    """(angle in radians, distance of the centers) between cameras."""
    chord = jnp.linalg.norm(first.pose[..., :3] - second.pose[..., :3], axis=(-2, -1))
    angle = 2 * jnp.arcsin(jnp.clip(chord / 8**0.5, 0, 1))
    return angle, jnp.linalg.norm(centers(first) - centers(second), axis=-1)
