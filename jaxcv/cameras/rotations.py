"""Rotations as quaternions (w, x, y, z), matrices and rotation vectors (axis times angle).

Every function is smooth wherever the rotation is: at the identity, and at half a turn up to the
sign that it leaves open.
"""

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.angles import angle, stumpff

# Products of matrices keep float32's digits on accelerators too, whose default is fewer.
PRECISION = 'highest'


def product(a: Float[Array, '*b i j'], b: Float[Array, '*b j k']) -> Float[Array, '*b i k']:
    """The matrix product, in full precision on every machine."""
    return jnp.matmul(a, b, precision=PRECISION)


def normalized(x: Float[Array, '*b n']) -> Float[Array, '*b n']:
    """x / |x|, for x that is not 0."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


# Quaternions


def multiply(a: Float[Array, '*b 4'], b: Float[Array, '*b 4']) -> Float[Array, '*b 4']:
    """Hamilton's product: the rotation b, then a."""
    a_w, a_v, b_w, b_v = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    w = a_w * b_w - (a_v * b_v).sum(-1, keepdims=True)
    return jnp.concatenate([w, a_w * b_v + b_w * a_v + jnp.cross(a_v, b_v)], axis=-1)


def conjugate(q: Float[Array, '*b 4']) -> Float[Array, '*b 4']:
    """The inverse of a unit quaternion."""
    return jnp.concatenate([q[..., :1], -q[..., 1:]], axis=-1)


def quaternion_exp(vector: Float[Array, '*b 3']) -> Float[Array, '*b 4']:
    """The unit quaternion of a rotation vector."""
    square = jnp.square(vector).sum(-1, keepdims=True) / 4
    return jnp.concatenate([stumpff(0, square), stumpff(1, square) * vector / 2], axis=-1)


def quaternion_log(q: Float[Array, '*b 4']) -> Float[Array, '*b 3']:
    """The rotation vector, of length up to pi, of a unit quaternion; q and -q give the same."""
    q = jnp.where(q[..., :1] < 0, -q, q)
    square = jnp.square(q[..., 1:]).sum(-1, keepdims=True)
    return 2 * angle(square, q[..., :1]) * q[..., 1:]


def slerp(
    a: Float[Array, '*b 4'], b: Float[Array, '*b 4'], t: Float[Array, '*b']
) -> Float[Array, '*b 4']:
    """From a (t = 0) to b (t = 1) at constant speed along the shorter arc; unit quaternions."""
    way = quaternion_log(multiply(conjugate(a), b))
    return multiply(a, quaternion_exp(jnp.asarray(t)[..., None] * way))


# Matrices


def quaternion_to_matrix(q: Float[Array, '*b 4']) -> Float[Array, '*b 3 3']:
    """The matrix of a quaternion of any length but 0."""
    w, x, y, z = jnp.moveaxis(normalized(q), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def matrix_to_quaternion(matrix: Float[Array, '*b 3 3']) -> Float[Array, '*b 4']:
    """The unit quaternion with w >= 0 (Shepperd 1978: divided by its largest component)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (
        jnp.moveaxis(row, -1, 0) for row in jnp.moveaxis(matrix, -2, 0)
    )
    # 4 q q^T, of which every row is q times four times one of its components.
    rows = [
        [1 + xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, 1 + xx - yy - zz, yx + xy, xz + zx],
        [xz - zx, yx + xy, 1 - xx + yy - zz, zy + yz],
        [yx - xy, xz + zx, zy + yz, 1 - xx - yy + zz],
    ]
    rows = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    largest = jnp.argmax(jnp.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = jnp.take_along_axis(rows, largest[..., None, None], axis=-2)[..., 0, :]
    return normalized(jnp.where(q[..., :1] < 0, -q, q))


def skew(vector: Float[Array, '*b 3']) -> Float[Array, '*b 3 3']:
    """The matrix of the cross product: skew(a) b = a x b."""
    x, y, z = jnp.moveaxis(vector, -1, 0)
    zero = jnp.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def so3_exp(vector: Float[Array, '*b 3']) -> Float[Array, '*b 3 3']:
    """The matrix of a rotation vector (Rodrigues)."""
    square = jnp.square(vector).sum(-1)[..., None, None]
    cross = skew(vector)
    identity = jnp.eye(3, dtype=vector.dtype)
    return identity + stumpff(1, square) * cross + stumpff(2, square) * product(cross, cross)


def so3_log(matrix: Float[Array, '*b 3 3']) -> Float[Array, '*b 3']:
    """The rotation vector, of length up to pi, of a matrix."""
    return quaternion_log(matrix_to_quaternion(matrix))
