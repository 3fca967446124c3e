"""RandAugment (Cubuk et al., 2020): a few operations at random, one magnitude for all."""

import math

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.data.augment import color
from jaxcv.data.augment.geometry import matrix, warp

# The first seven only bend the sampling grid, so they share one interpolation.
OPERATIONS = (
    'identity',
    'rotate',
    'shear_x',
    'shear_y',
    'translate_x',
    'translate_y',
    'scale',
    'brightness',
    'contrast',
    'saturation',
    'sharpness',
    'posterize',
    'solarize',
    'autocontrast',
    'equalize',
)
_GEOMETRIC = 7
_BINS = 64  # of the histogram that equalizing uses


def rand_augment(
    images: Float[Array, 'b h w c'],
    keys: Key[Array, 'b'],
    count: int = 2,
    magnitude: float = 0.5,
    fill: float = 0.5,
) -> Float[Array, 'b h w c']:
    """Images in [0, 1]; each gets `count` of `OPERATIONS`, drawn with replacement, at `magnitude`
    in [0, 1] (1 is a turn of 30 degrees, a shift by 45%, a factor of 1 +- 0.9).

    Every sample computes all the pointwise operations and takes one, but interpolates once a round.
    """

    def one(image, key):
        for i in range(count):
            which, sign = jax.random.split(jax.random.fold_in(key, i))
            operation = jax.random.randint(which, (), 0, len(OPERATIONS))
            strength = magnitude * jax.random.rademacher(sign, (), image.dtype)
            image = apply(image, operation, strength, fill)
        return image

    return jax.vmap(one)(images, keys)


def apply(
    image: Float[Array, 'h w c'],
    operation: Array,
    strength: Float[Array, ''],
    fill: float = 0.5,
) -> Float[Array, 'h w c']:
    """One operation, by its index in `OPERATIONS`, at a signed strength in [-1, 1]."""
    source = jax.lax.switch(jnp.minimum(operation, _GEOMETRIC), _grids(image, strength))
    pointwise = [lambda: warp(image, source, fill), *_pointwise(image, strength)]
    return jax.lax.switch(jnp.maximum(operation - _GEOMETRIC + 1, 0), pointwise)


def _grids(image, strength):
    h, w, _ = image.shape
    tilt = jnp.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0]]) - jnp.eye(2, 3)
    zero = jnp.zeros_like(strength)
    return [
        lambda: matrix(),
        lambda: matrix(angle=strength * math.radians(30)),
        lambda: matrix(shear=jnp.arctan(0.3 * strength)),
        lambda: jnp.eye(2, 3) + strength * tilt,
        lambda: matrix(shift=jnp.stack([0.45 * w * strength, zero])),
        lambda: matrix(shift=jnp.stack([zero, 0.45 * h * strength])),
        lambda: matrix(scale=2.0 ** (0.5 * strength)),
        lambda: matrix(),
    ]


def _pointwise(image, strength):
    factor = 1 + 0.9 * strength
    amount = jnp.abs(strength)
    levels = 2.0 ** jnp.round(8 - 4 * amount) - 1
    return [
        lambda: color.adjust_brightness(image, factor),
        lambda: color.adjust_contrast(image, factor),
        lambda: color.adjust_saturation(image, factor),
        lambda: _sharpen(image, factor),
        lambda: jnp.where(amount > 0, jnp.round(image * levels) / levels, image),
        lambda: jnp.where(image > 1 - amount, 1 - image, image),
        lambda: image + amount * (_autocontrast(image) - image),
        lambda: image + amount * (_equalize(image) - image),
    ]


def _sharpen(image, factor):
    """Away from or to a 3x3 blur (center weight 5 of 13), which leaves the border as it is."""
    h, w, _ = image.shape
    window = sum(image[y : h - 2 + y, x : w - 2 + x] for y in range(3) for x in range(3))
    blur = image.at[1:-1, 1:-1].set((window + 4 * image[1:-1, 1:-1]) / 13)
    return jnp.clip(blur + factor * (image - blur), 0, 1)


def _autocontrast(image):
    """Each channel stretched to [0, 1]."""
    low, high = image.min((0, 1)), image.max((0, 1))
    span = high - low
    return jnp.where(span > 0, (image - low) / jnp.where(span > 0, span, 1), image)


def _equalize(image):
    """Each channel through its own cumulative histogram, linear between the bins' edges."""

    def channel(x):
        position = x.ravel() * _BINS
        index = jnp.clip(position.astype(jnp.int32), 0, _BINS - 1)
        counts = jnp.zeros(_BINS, jnp.int32).at[index].add(1)
        edges = jnp.concatenate([jnp.zeros(1), jnp.cumsum(counts)]) / x.size
        share = position - index
        return ((1 - share) * edges[index] + share * edges[index + 1]).reshape(x.shape)

    return jax.vmap(channel, -1, -1)(image)
