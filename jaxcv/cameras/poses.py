"""Poses [R | t], which take x to R x + t: composed, inverted, and near one another.

Twists are (rotation vector, translation).
"""

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.angles import stumpff
from jaxcv.cameras.rotations import normalized, product, skew, so3_exp, so3_log


def rotated(
    rotation: Float[Array, '*b 3 3'], points: Float[Array, '*b n 3']
) -> Float[Array, '*b n 3']:
    """R x for every point."""
    # Sums rather than a matrix product: they fuse with what comes before and after.
    return sum(rotation[..., None, :, i] * points[..., i, None] for i in range(3))


def transformed(
    pose: Float[Array, '*b 3 4'], points: Float[Array, '*b n 3']
) -> Float[Array, '*b n 3']:
    """R x + t for every point."""
    return rotated(pose[..., :3], points) + pose[..., None, :, 3]


def compose(a: Float[Array, '*b 3 4'], b: Float[Array, '*b 3 4']) -> Float[Array, '*b 3 4']:
    """The pose b, then a."""
    moved = product(a[..., :3], b)
    return moved.at[..., 3].add(a[..., 3])


def inverse(pose: Float[Array, '*b 3 4']) -> Float[Array, '*b 3 4']:
    """The way back: camera to world of world to camera."""
    back = pose[..., :3].swapaxes(-1, -2)
    return jnp.concatenate([back, -product(back, pose[..., 3:])], axis=-1)


def look_at(
    eye: Float[Array, '*b 3'], target: Float[Array, '*b 3'], up: Float[Array, '*b 3']
) -> Float[Array, '*b 3 4']:
    """World to camera of a camera at `eye` that looks at `target`, with `up` upward in its image;
    where it looks along `up`, some direction is."""
    eye, target, up = jnp.broadcast_arrays(*map(jnp.asarray, (eye, target, up)))
    forward = normalized(target - eye)
    up = normalized(up)
    right = jnp.cross(forward, up)
    other = jnp.cross(forward, jnp.eye(3, dtype=up.dtype)[jnp.argmin(jnp.abs(forward), -1)])
    along = jnp.square(right).sum(-1, keepdims=True) < 1e-8
    right = normalized(jnp.where(along, other, right))
    rotation = jnp.stack([right, jnp.cross(forward, right), forward], axis=-2)
    return jnp.concatenate([rotation, -product(rotation, eye[..., None])], axis=-1)


def se3_exp(twist: Float[Array, '*b 6']) -> Float[Array, '*b 3 4']:
    """The pose of a twist (w, v): [exp w | V v] with V = 1 + (1 - cos a) / a² [w] +
    (a - sin a) / a³ [w]², a = |w|."""
    vector, velocity = twist[..., :3], twist[..., 3:, None]
    square = jnp.square(vector).sum(-1)[..., None, None]
    cross = skew(vector)
    once = product(cross, velocity)
    moved = velocity + stumpff(2, square) * once + stumpff(3, square) * product(cross, once)
    return jnp.concatenate([so3_exp(vector), moved], axis=-1)


def se3_log(pose: Float[Array, '*b 3 4']) -> Float[Array, '*b 6']:
    """The twist of a pose, its rotation up to pi: V^-1 = 1 - [w] / 2 + (1 - a/2 cot a/2) / a²
    [w]²."""
    vector, moved = so3_log(pose[..., :3]), pose[..., 3:]
    square = jnp.square(vector).sum(-1)[..., None, None]
    cross = skew(vector)
    once = product(cross, moved)
    # Without the difference that vanishes at 0.
    factor = (stumpff(3, square) - 2 * stumpff(4, square)) / (2 * stumpff(2, square))
    velocity = moved - once / 2 + factor * product(cross, once)
    return jnp.concatenate([vector, velocity[..., 0]], axis=-1)
