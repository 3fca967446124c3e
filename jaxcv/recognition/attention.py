"""From the attention maps of a transformer to one map over the patches of the image."""

import math
from functools import reduce

from jax import numpy as jnp
from jaxtyping import Array, Float

Maps = Float[Array, 'b layers heads n n']  # token 0 is the class token


def class_attention(maps: Maps, layer: int = -1) -> Float[Array, 'b patches']:
    """What the class token looks at in one layer, averaged over heads; sums to 1 over patches."""
    weights = maps[:, layer, :, 0, 1:].mean(axis=1)
    return weights / weights.sum(axis=-1, keepdims=True)


def rollout(maps: Maps) -> Float[Array, 'b patches']:
    """Attention rollout (Abnar and Zuidema, 2020): A_L ... A_2 A_1, A = (mean of heads + I) / 2,
    which counts the residual connection. The row of the class token; sums to 1 over patches."""
    layers = jnp.moveaxis(maps.mean(axis=2), 1, 0)
    layers = (layers + jnp.eye(maps.shape[-1])) / 2
    weights = reduce(lambda below, layer: layer @ below, layers)[:, 0, 1:]
    return weights / weights.sum(axis=-1, keepdims=True)


def grid(
    weights: Float[Array, 'b patches'], height: int, width: int
) -> Float[Array, 'b rows columns']:
    """The patches of a height x width image at their places."""
    side = math.isqrt(height * width // weights.shape[-1])
    return weights.reshape(-1, height // side, width // side)
