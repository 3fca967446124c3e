"""What every radiance field takes and gives.

A field is a linen module, called as `field(positions, directions, condition) -> Radiance`, with a
method `density(positions, condition)` that computes no color, and those of `Field`. Positions [n 3]
are in the box [-1, 1]^3 (but of an `unbounded` field anywhere), directions [n 3] are of unit
length, and density is per unit of length of the box.
"""

from typing import NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.errors import UserError, choose

LIMIT = 15.0  # of the exponent: e^15 is opaque after a millionth of the box


class Radiance(NamedTuple):
    density: Float[Array, 'n']  # at least 0
    color: Float[Array, 'n 3']  # in [0, 1]


class Condition(NamedTuple):
    """What a field may be told beside places; what it has no use for it ignores."""

    time: Float[Array, 'n'] | None = None  # in [0, 1]
    image: Int[Array, 'n'] | None = None  # which photograph, for appearance
    variance: Float[Array, 'n 3'] | None = None  # of a Gaussian about the position, per axis


class Field(linen.Module):
    """What fields of grids have to say about their parameters, which others need not."""

    def penalties(self, key: Key[Array, '']) -> dict[str, Float[Array, '']]:
        """What is to be kept small, by name."""
        return {}

    @linen.nowrap
    def grown(self, params: PyTree[Array]) -> PyTree[Array]:
        """The parameters of the same field on a finer grid."""
        return params

    @linen.nowrap
    def opened(self, params: PyTree[Array], share: float | Float[Array, '']) -> PyTree[Array]:
        """The parameters without the finest details: none of these at a `share` of 0, all at 1."""
        return params


def given(condition: Condition | None, name: str, what: str) -> Array:
    """The array `name` of the condition; that there is none is an error of `what`."""
    found = None if condition is None else getattr(condition, name)
    if found is None:
        raise UserError(f'{what} needs Condition({name}=...), but was called without it')
    return found


@jax.custom_jvp
def exponential(x: Float[Array, '*s']) -> Float[Array, '*s']:
    """exp(min(x, 15)) whose slope is exp(clip(x, -15, 15)): it neither overflows nor stops."""
    return jnp.exp(jnp.minimum(x, LIMIT))


@exponential.defjvp
def exponential_slope(primals, tangents):
    (x,), (tangent,) = primals, tangents
    return exponential(x), jnp.exp(jnp.clip(x, -LIMIT, LIMIT)) * tangent


DENSITIES = {
    'exponential': exponential,
    'shifted_exponential': lambda x: exponential(x - 1),  # fresh fields are nearly transparent
    'softplus': jax.nn.softplus,
    'shifted_softplus': lambda x: jax.nn.softplus(x - 1),  # Barron et al. 2021
    'relu': jax.nn.relu,  # Mildenhall et al. 2020, Fridovich-Keil et al. 2022
}


def activate(raw: Float[Array, '*s'], name: str) -> Float[Array, '*s']:
    """The density that a network's number stands for, at least 0."""
    return DENSITIES[choose(name, DENSITIES, 'the activation of density')](raw)
