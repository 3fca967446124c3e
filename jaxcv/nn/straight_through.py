"""The straight-through estimator (Bengio et al., 2013)."""

import jax
from jaxtyping import Array, Float


def straight_through(hard: Float[Array, '*s'], soft: Float[Array, '*s']) -> Float[Array, '*s']:
    """The value of `hard`, bit for bit, with the gradient of `soft`.

    Used where the forward pass rounds (quantization, binarization, sampling of a code) and the
    gradient should pass as if it had not: d/dsoft = 1, d/dhard = 0.
    """
    # soft - soft is exactly zero, whereas soft + (hard - soft) would round.
    return jax.lax.stop_gradient(hard) + (soft - jax.lax.stop_gradient(soft))
