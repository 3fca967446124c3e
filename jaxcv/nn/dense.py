"""The linear layer."""

import math
from collections.abc import Callable

import jax
from flax import linen
from jaxtyping import Array, Float


def rows(x: Float[Array, '*s c'], kernel: Float[Array, 'c d'], dimensions, **kinds):
    """x @ kernel as a product of two matrices: of one with more axes XLA transposes what the
    gradient of the kernel multiplies, which on CPU is a copy."""
    axes = x.shape[:-1]
    x = x.reshape(math.prod(axes), x.shape[-1])
    y = jax.lax.dot_general(x, kernel, (((1,), (0,)), ((), ())), **kinds)
    return y.reshape(*axes, y.shape[-1])


class Dense(linen.Dense):
    """linen's `Dense`, as a product of matrices whatever the axes of x: a training step of a
    transformer takes 0.9 of the time on CPU."""

    dot_general: Callable = rows
