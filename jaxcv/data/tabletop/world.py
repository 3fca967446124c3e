"""A scene is the union of its objects, hard or melted: its distance, normals, bounds, motion."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.cameras.rotations import product, so3_exp
from jaxcv.data.tabletop.materials import Material
from jaxcv.data.tabletop.solid import Solid, solid_distance

TINY = 1e-6  # for divisions by a width or a slope of 0
_matrix = jax.jit(so3_exp)


class Scene(NamedTuple):
    """n objects; every leaf has n in front (or, of one object alone, nothing)."""

    solid: Solid
    material: Material
    center: Float[Array, 'n 3']
    rotation: Float[Array, 'n 3 3']  # from the object's frame to the world
    blend: Float[Array, 'n']  # distance over which it melts into those before it; 0: not at all
    spin: Float[Array, 'n 3']  # rotation vector by which it has turned at time 1
    rise: Float[Array, 'n 3']  # how far from its place it is at time 1/2; back at time 1


def placed(
    solid: Solid,
    material: Material,
    center: Sequence[float],
    turned: Sequence[float] = (0.0, 0.0, 0.0),
    blend: float = 0.0,
    spin: Sequence[float] = (0.0, 0.0, 0.0),
    rise: Sequence[float] = (0.0, 0.0, 0.0),
) -> Scene:
    """One object; `turned` is a rotation vector."""
    center, turned, spin, rise = (np.float32(value) for value in (center, turned, spin, rise))
    rotation = np.asarray(_matrix(turned))
    return Scene(solid, material, center, rotation, np.float32(blend), spin, rise)


def assembled(objects: Sequence[Scene], capacity: int | None = None) -> Scene:
    """Objects as one scene, filled up to `capacity` with copies of the last, which change nothing
    (so that scenes of one capacity share a program)."""
    objects = [*objects, *[objects[-1]] * ((capacity or 0) - len(objects))]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *objects)


def moved(scene: Scene, time: Float[Array, '']) -> Scene:
    """The scene at a time in [0, 1]: objects turn about their centers, leave and come back."""
    away = (1 - jnp.cos(2 * jnp.pi * time)) / 2
    return scene._replace(
        center=scene.center + away * scene.rise,
        rotation=product(so3_exp(time * scene.spin), scene.rotation),
    )


def distance(scene: Scene, points: Float[Array, '*b 3']) -> Float[Array, '*b']:
    """Signed distance, negative inside: exact outside hard unions, where objects melt no greater
    than the true one. Its slope never exceeds 1, so that no step of this length crosses it."""
    place = tuple(jnp.moveaxis(points, -1, 0))

    # A loop, for a chain of so many fused operations compiles for minutes.
    def join(total, one):
        return _melted(total, solid_distance(one.solid, *local(one, *place)), one.blend), None

    return jax.lax.scan(join, jnp.full_like(place[0], jnp.inf), scene)[0]


def _melted(a, b, width):
    """Quilez' quadratic smooth minimum; the minimum where width is 0."""
    near = jnp.maximum(width - jnp.abs(a - b), 0)
    return jnp.minimum(a, b) - jnp.square(near) / (4 * jnp.maximum(width, TINY))


def local(
    scene: Scene, x: Float[Array, '*n'], y: Float[Array, '*n'], z: Float[Array, '*n']
) -> tuple[Float[Array, '*n'], ...]:
    """Coordinates in the frames of the objects, whose leading axes broadcast against x, y, z."""
    # Sums written out: they fuse on a CPU, and no accelerator rounds them to fewer bits.
    offset = tuple(value - scene.center[..., i] for i, value in enumerate((x, y, z)))
    return tuple(
        sum(scene.rotation[..., i, axis] * offset[i] for i in range(3)) for axis in range(3)
    )


def owner(
    scene: Scene, points: Float[Array, '*b 3']
) -> tuple[Int[Array, '*b'], Float[Array, '*b 2 3']]:
    """(index, colors): the object that has most part in the surface near a point, and the colors
    of all, each by its part: its weight in the gradient of the distance."""
    place = tuple(jnp.moveaxis(points, -1, 0))

    def join(carry, item):
        total, most, first, colors = carry
        index, one = item
        free = solid_distance(one.solid, *local(one, *place))
        near = jnp.maximum(one.blend - jnp.abs(total - free), 0)
        lesser = near / (2 * jnp.maximum(one.blend, TINY))
        part = jnp.where(free < total, 1 - lesser, lesser)
        most = most * (1 - part)
        first, most = jnp.where(part > most, index, first), jnp.maximum(part, most)
        mixed = (1 - part)[..., None] * colors + part[..., None] * one.material.colors.reshape(6)
        return (_melted(total, free, one.blend), most, first, mixed), None

    none = jnp.zeros_like(place[0])
    start = none + jnp.inf, none, none.astype(jnp.int32), jnp.zeros((*none.shape, 6))
    _, _, first, colors = jax.lax.scan(join, start, (jnp.arange(len(scene.blend)), scene))[0]
    return first, colors.reshape(*none.shape, 2, 3)


def gradient(scene: Scene, points: Float[Array, '*b 3']) -> Float[Array, '*b 3']:
    """Of the distance."""

    # Forwards, along each axis: backwards through the loop would store what every object gave.
    def along(axis):
        return jax.jvp(lambda x: distance(scene, x), (points,), (jnp.zeros_like(points) + axis,))[1]

    return jnp.moveaxis(jax.vmap(along)(jnp.eye(3, dtype=points.dtype)), 0, -1)


def normals(scene: Scene, points: Float[Array, '*b 3']) -> Float[Array, '*b 3']:
    """Unit vectors out of the surface; 0 where the distance has no slope."""
    slope = gradient(scene, points)
    return slope / jnp.maximum(jnp.sqrt(jnp.square(slope).sum(-1, keepdims=True)), TINY)


def bounds(scene: Scene) -> tuple[Float[Array, '3'], Float[Array, '3']]:
    """(low, high) corners of a box around every object, and what they melt into."""
    half = jnp.abs(scene.rotation * scene.solid.half[:, None]).sum(-1) + scene.blend.sum() / 4
    return (scene.center - half).min(0), (scene.center + half).max(0)
