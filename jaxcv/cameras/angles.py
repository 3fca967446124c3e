"""Angles through their squares: smooth at 0, where a square root is not.

Near 0 every function is its Taylor series, long enough for float64, so that derivatives of any
order neither divide 0 by 0 nor lose digits.
"""

import math

from jax import numpy as jnp
from jaxtyping import Array, Float

TERMS = 12
NEAR = 0.04  # up to which tangent² `angle` is its series: 0.04^12 is lost in float64
FLOOR = 1e-12  # of a square under a root


def stumpff(order: int, square: Float[Array, '*n']) -> Float[Array, '*n']:
    """sum_i (-u)^i / (2i + order)! at u = angle² >= 0: cos a, sin a / a, (1 - cos a) / a²,
    (a - sin a) / a³ ... for orders 0, 1, 2, 3 ..."""
    near = square < 1
    series = polynomial(
        [(-1) ** i / math.factorial(2 * i + order) for i in range(TERMS)],
        jnp.where(near, square, 0),
    )[0]
    far = jnp.where(near, 1, square)
    angle = jnp.sqrt(far)
    closed = jnp.sin(angle) / angle if order % 2 else jnp.cos(angle)
    for lower in range(order % 2, order, 2):
        closed = (1 / math.factorial(lower) - closed) / far
    return jnp.where(near, series, closed)


def angle(square: Float[Array, '*n'], z: Float[Array, '*n']) -> Float[Array, '*n']:
    """atan2(a, z) / a at square = a²: the angle of (a, z) to the axis z, per length of a. Finite
    everywhere; on the negative axis, where it is infinite, it stands for a small a."""
    near = (z > 0) & (square < NEAR * z * z)
    # Not square / z²: that of a small z is 0, and then so is its gradient's denominator.
    safe = jnp.where(near, z, 1)
    tangent = jnp.where(near, square, 0) / safe / safe
    series = polynomial([(-1) ** i / (2 * i + 1) for i in range(TERMS)], tangent)[0] / safe
    length = jnp.sqrt(jnp.maximum(jnp.where(near, 1, square), FLOOR))
    return jnp.where(near, series, jnp.arctan2(length, z) / length)


def polynomial(
    coefficients: list[float | Float[Array, '*n']], x: Float[Array, '*n']
) -> tuple[Float[Array, '*n'], Float[Array, '*n']]:
    """Value and slope at x; the constant comes first."""
    value = slope = jnp.zeros_like(x)
    for coefficient in reversed(coefficients):
        slope = slope * x + value
        value = value * x + coefficient
    return value, slope
