"""The equidistant lens: a ray at the angle a to the axis appears at the radius a g(a²), where
g(u) = 1 + k1 u + k2 u² + k3 u³ + k4 u⁴ (Kannala & Brandt 2006; OpenCV's `fisheye`).

All in squares, which are smooth on the axis; a may exceed a quarter of a turn.
"""

import math

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.angles import angle, polynomial, stumpff
from jaxcv.cameras.newton import newton

SIZES = (0, 4)
LEAST = 0.01  # a lens is inverted up to where it shrinks lengths to this share


def image(lens: Float[Array, '*b k'], points: Float[Array, '*b n 3']) -> Float[Array, '*b n 2']:
    """Where points appear, for the focal length 1 and the center 0."""
    square = jnp.square(points[..., :2]).sum(-1)
    per_length = angle(square, points[..., 2])
    g, _ = _factor(lens, per_length * per_length * square)
    return (g * per_length)[..., None] * points[..., :2]


def directions(
    lens: Float[Array, '*b k'], image: Float[Array, '*b n 2']
) -> tuple[Float[Array, '*b n 3'], Float[Array, '*b n']]:
    """Unit directions of what appears at `image`, and the solid angle per area there."""
    squared_angle = unbent(lens, jnp.square(image).sum(-1))
    g, slope = _factor(lens, squared_angle)
    sine = stumpff(1, squared_angle)
    sideways, forward = (sine / g)[..., None] * image, stumpff(0, squared_angle)[..., None]
    solid_angle = sine / (g * (g + 2 * squared_angle * slope))
    return jnp.concatenate([sideways, forward], axis=-1), solid_angle


@jax.custom_jvp
def unbent(lens: Float[Array, '*b k'], square: Float[Array, '*b n']) -> Float[Array, '*b n']:
    """The squared angle of the ray that appears at a squared radius; near the largest one that
    appears at all where the radius is larger. Derivatives are those of the inverse function."""
    if not lens.shape[-1]:
        return jnp.minimum(square, math.pi**2)

    def look(x):
        x = x[..., 0]
        g, slope = _factor(lens, x)
        across, along = g, g + 2 * x * slope
        residual = square - x * g * g
        allowed = (x >= 0) & (x <= math.pi**2) & (across > LEAST) & (along > LEAST)
        return residual * residual, (residual / (across * along))[..., None], allowed

    return newton(look, jnp.zeros_like(square)[..., None])[..., 0]


@unbent.defjvp
def _unbent_jvp(primals, tangents):
    (lens, square), (lens_tangent, square_tangent) = primals, tangents
    x = unbent(lens, square)
    (g, slope), (moved, _) = jax.jvp(lambda lens: _factor(lens, x), (lens,), (lens_tangent,))
    return x, (square_tangent - 2 * x * g * moved) / (g * (g + 2 * x * slope))


def _factor(lens, squared_angle):
    """g and its slope."""
    coefficients = [lens[..., None, i] for i in range(lens.shape[-1])]
    return polynomial([1.0, *coefficients], squared_angle)
