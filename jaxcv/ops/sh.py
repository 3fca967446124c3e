"""Real spherical harmonics up to degree 4: functions on directions.

The basis is that of Gaussian splatting and of instant-ngp: Y_l^m at index l (l + 1) + m, with the
Condon-Shortley phase, orthonormal over the sphere (Sloan 2013, appendix A2).
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError

DEGREES = 4
CONSTANT = 0.28209479177387814  # Y_0^0


def size(degree: int) -> int:
    """How many functions there are up to `degree`."""
    if not 0 <= degree <= DEGREES:
        raise UserError(
            f'spherical harmonics of degree {degree} are not there: choose 0 to {DEGREES}'
        )
    return (degree + 1) ** 2


def degree(size: int) -> int:
    """Up to which degree there are `size` functions."""
    for found in range(DEGREES + 1):
        if (found + 1) ** 2 == size:
            return found
    raise UserError(
        f'{size} coefficients fit no degree of spherical harmonics: give 1, 4, 9, 16 or 25'
    )


def basis(directions: Float[Array, '*b 3'], degree: int) -> Float[Array, '*b k']:
    """All k = (degree + 1)² functions at unit directions (x, y, z)."""
    count = size(degree)
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
    across = xx - yy
    values = [jnp.full_like(x, CONSTANT)]
    if degree > 0:
        values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree > 1:
        values += [
            1.0925484305920792 * xy,
            -1.0925484305920792 * yz,
            0.31539156525252005 * (3 * zz - 1),
            -1.0925484305920792 * xz,
            0.5462742152960396 * across,
        ]
    if degree > 2:
        values += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * xy * z,
            -0.4570457994644658 * y * (5 * zz - 1),
            0.3731763325901154 * z * (5 * zz - 3),
            -0.4570457994644658 * x * (5 * zz - 1),
            1.445305721320277 * z * across,
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    if degree > 3:
        values += [
            2.5033429417967046 * xy * across,
            -1.7701307697799304 * yz * (3 * xx - yy),
            0.9461746957575601 * xy * (7 * zz - 1),
            -0.6690465435572892 * yz * (7 * zz - 3),
            0.10578554691520431 * (zz * (35 * zz - 30) + 3),
            -0.6690465435572892 * xz * (7 * zz - 3),
            0.47308734787878004 * across * (7 * zz - 1),
            -1.7701307697799304 * xz * (xx - 3 * yy),
            0.6258357354491761 * (xx * (xx - 3 * yy) - yy * (3 * xx - yy)),
        ]
    return jnp.stack(values[:count], axis=-1)


def evaluate(
    coefficients: Float[Array, '*b k c'], directions: Float[Array, '*b 3']
) -> Float[Array, '*b c']:
    """What k coefficients per channel say at unit directions."""
    values = basis(directions, degree(coefficients.shape[-2]))
    # A product: XLA's own sums over short axes are not vectorized.
    precision = jax.lax.Precision.HIGHEST
    return jnp.einsum('...k,...kc->...c', values, coefficients, precision=precision)
