"""How different two images look to a network (Zhang et al., 2018)."""

from collections.abc import Callable, Sequence

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError

Images = Float[Array, 'b h w c']
Maps = Sequence[Float[Array, 'b h w c']]  # of layers, each with its own size and channels
EPSILON = 1e-10


def perceptual(
    features: Callable[[Images], Maps],
    weights: Sequence[Float[Array, 'c']] | None = None,
) -> Callable[[Images, Images], Float[Array, 'b']]:
    """The distance of images in [-1, 1] as a function of both; see `distance`."""
    return lambda x, y: distance(features(x), features(y), weights)


def distance(
    x: Maps, y: Maps, weights: Sequence[Float[Array, 'c']] | None = None
) -> Float[Array, 'b']:
    """sum over layers of the mean over space of sum_c weights_c (x_c / |x| - y_c / |y|)^2, where
    |.| is over the channels at a position.

    Without weights, which must not be negative, all are 1: the distance of LPIPS without its linear
    layers. Maps that differ by a positive factor at each position are the same."""
    weights = [jnp.ones(layer.shape[-1]) for layer in x] if weights is None else weights
    if not len(x) == len(y) == len(weights):
        raise UserError(
            f'a distance of {len(x)} and {len(y)} layers with weights of {len(weights)}: expected '
            'as many of each'
        )
    return sum(map(layer_distance, x, y, weights))


def layer_distance(
    x: Float[Array, 'b h w c'], y: Float[Array, 'b h w c'], weights: Float[Array, 'c']
) -> Float[Array, 'b']:
    return (jnp.square(unit(x) - unit(y)) @ weights).mean((1, 2))


def unit(x: Float[Array, '*s c']) -> Float[Array, '*s c']:
    """x / (|x| + 1e-10), in single precision at least. What is zero stays zero, without a gradient:
    after a ReLU that happens, and |x| has none there."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    squares = jnp.square(x).sum(-1, keepdims=True)
    some = squares > 0
    length = jnp.sqrt(jnp.where(some, squares, 1.0))
    return jnp.where(some, x / (length + EPSILON), jax.lax.stop_gradient(x))
