"""How the gradient passes a quantizer: straight through, or rotated (Fifty et al., 2024)."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.nn.straight_through import straight_through

TINY = 1e-6


def normalized(x: Float[Array, '*s d']) -> Float[Array, '*s d']:
    """x / |x|, and 0 with a finite gradient where x is 0."""
    square = jnp.square(x).sum(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, TINY**2))


def rotate(z: Float[Array, '*s d'], e: Float[Array, '*s d']) -> Float[Array, '*s d']:
    """z as a constant linear map takes it to e: equation 4 of section 4.2.

    With unit vectors u of z and q of e, and r of u + q: (|e| / |z|) (I - 2 r r' + 2 q u') z, a
    rotation in the plane of both and a scale. Only the z that is mapped has a gradient."""
    fixed, e = jax.lax.stop_gradient((z, e))
    u, q = normalized(fixed), normalized(e)
    r = normalized(u + q)
    turned = z - 2 * r * dot(r, z) + 2 * q * dot(u, z)
    return turned * jnp.sqrt(dot(e, e) / jnp.maximum(dot(fixed, fixed), TINY**2))


def dot(a: Float[Array, '*s d'], b: Float[Array, '*s d']) -> Float[Array, '*s 1']:
    return (a * b).sum(-1, keepdims=True)


def passed(
    e: Float[Array, '*s d'], z: Float[Array, '*s d'], rotation: bool
) -> Float[Array, '*s d']:
    """The value of e, bit for bit, with the gradient of z: as it is, or with `rotation` that of
    z rotated to e, which keeps the angle between the gradient and e that it had with z."""
    return straight_through(e, rotate(z, e) if rotation else z)
