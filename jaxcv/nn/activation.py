"""Activation functions as modules, so that a diagnosis can capture their outputs by layer."""

from functools import partial

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import choose


def swiglu(x: Float[Array, '*b c']) -> Float[Array, '*b c/2']:
    """silu(a) * b, where [a, b] are the two halves of the channels (Shazeer, 2020)."""
    gate, value = jnp.split(x, 2, axis=-1)
    return jax.nn.silu(gate) * value


FUNCTIONS = {
    'relu': jax.nn.relu,
    'leaky_relu': jax.nn.leaky_relu,  # slope 0.01
    'sigmoid': jax.nn.sigmoid,
    'tanh': jnp.tanh,
    'gelu': partial(jax.nn.gelu, approximate=False),
    'gelu_tanh': partial(jax.nn.gelu, approximate=True),
    'silu': jax.nn.silu,
    'swiglu': swiglu,
}
LEARNABLE = 'swish_learnable'


class Activation(linen.Module):
    """The activation called `kind`: a key of `FUNCTIONS`, or `swish_learnable`.

    `gelu` is exact (erf) and `gelu_tanh` its approximation. `swish_learnable` is
    x * sigmoid(beta * x) with one parameter `beta`, initially 1. `swiglu` halves the channels.
    """

    kind: str

    @linen.compact
    def __call__(self, x: Float[Array, '*b c']) -> Float[Array, '*b d']:
        kind = choose(self.kind, (*FUNCTIONS, LEARNABLE), 'the activation')
        if kind == LEARNABLE:
            beta = self.param('beta', linen.initializers.ones, ())
            return x * jax.nn.sigmoid(beta.astype(x.dtype) * x)
        return FUNCTIONS[kind](x)
