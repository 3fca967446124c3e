"""The plane z = 1 through a lens, with OpenCV's coefficients k1 k2 p1 p2 [k3 [k4 [k5 k6]]].

r² = x² + y², g = (1 + k1 r² + k2 r⁴ + k3 r⁶) / (1 + k4 r² + k5 r⁴ + k6 r⁶),
x' = g x + 2 p1 x y + p2 (r² + 2 x²), y' = g y + p1 (r² + 2 y²) + 2 p2 x y.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.angles import polynomial
from jaxcv.cameras.newton import newton

SIZES = (0, 4, 5, 6, 8)  # how many coefficients a lens may have; those it lacks are 0
LEAST = 0.01  # a lens is inverted up to where it shrinks areas to this share


def distort(lens: Float[Array, '*b k'], plane: Float[Array, '*b n 2']) -> Float[Array, '*b n 2']:
    """Where points of the plane z = 1 appear."""
    return _distorted(lens, plane)[0] if lens.shape[-1] else plane


@jax.custom_jvp
def undistort(lens: Float[Array, '*b k'], image: Float[Array, '*b n 2']) -> Float[Array, '*b n 2']:
    """The points of the plane z = 1 that appear at `image`; near the edge of what appears at all
    where `image` lies beyond. Derivatives are those of the inverse function."""
    if not lens.shape[-1]:
        return image

    def look(x):
        there, jacobian = _distorted(lens, x)
        residual = image - there
        square = jnp.square(residual).sum(-1)
        return square, _solve(jacobian, residual), _determinant(jacobian) > LEAST

    return newton(look, jnp.zeros_like(image))


@undistort.defjvp
def _undistort_jvp(primals, tangents):
    (lens, image), (lens_tangent, image_tangent) = primals, tangents
    plane = undistort(lens, image)
    if not lens.shape[-1]:
        return plane, image_tangent
    _, moved = jax.jvp(lambda lens: distort(lens, plane), (lens,), (lens_tangent,))
    return plane, _solve(_distorted(lens, plane)[1], image_tangent - moved)


def enlargement(lens: Float[Array, '*b k'], plane: Float[Array, '*b n 2']) -> Float[Array, '*b n']:
    """By how much the lens enlarges an area at points of the plane z = 1."""
    if not lens.shape[-1]:
        return jnp.ones_like(plane[..., 0])
    return _determinant(_distorted(lens, plane)[1])


def _distorted(lens, plane):
    """Where points appear, and dx'/dx, dx'/dy = dy'/dx, dy'/dy."""
    k1, k2, p1, p2, *more = (lens[..., None, i] for i in range(lens.shape[-1]))
    x, y = plane[..., 0], plane[..., 1]
    square = x * x + y * y
    g, slope = polynomial([1.0, k1, k2, *more[:1]], square)
    if len(more) > 1:
        below, below_slope = polynomial([1.0, *more[1:]], square)
        g, slope = g / below, (slope - g / below * below_slope) / below
    there = jnp.stack(
        [
            g * x + 2 * p1 * x * y + p2 * (square + 2 * x * x),
            g * y + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    jacobian = (
        g + 2 * slope * x * x + 2 * p1 * y + 6 * p2 * x,
        2 * slope * x * y + 2 * p1 * x + 2 * p2 * y,
        g + 2 * slope * y * y + 6 * p1 * y + 2 * p2 * x,
    )
    return there, jacobian


def _determinant(jacobian):
    a, b, c = jacobian
    return a * c - b * b


def _solve(jacobian, difference):
    a, b, c = jacobian
    x, y = difference[..., 0], difference[..., 1]
    return jnp.stack([c * x - b * y, a * y - b * x], -1) / _determinant(jacobian)[..., None]
