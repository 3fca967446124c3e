"""Where pixels come from: flips, crops, resizing, affine maps. Images in any range."""

import math

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

Images = Float[Array, 'b h w c']


def flip(images: Images, keys: Key[Array, 'b'], probability: float = 0.5) -> Images:
    """Mirrors left and right."""

    def one(image, key):
        return jnp.where(jax.random.uniform(key) < probability, image[:, ::-1], image)

    return jax.vmap(one)(images, keys)


def crop(images: Images, keys: Key[Array, 'b'], padding: int = 4, fill: float = 0.0) -> Images:
    """Pads by `padding` on all sides and cuts a window of the old size at a random place."""

    def one(image, key):
        border = ((padding, padding), (padding, padding), (0, 0))
        padded = jnp.pad(image, border, constant_values=fill)
        y, x = jax.random.randint(key, (2,), 0, 2 * padding + 1)
        return jax.lax.dynamic_slice(padded, (y, x, 0), image.shape)

    return jax.vmap(one)(images, keys)


def resize(images: Images, size: int | tuple[int, int]) -> Float[Array, 'b height width c']:
    """To `size` (or (height, width)), bilinear, anti-aliased when shrinking."""
    shape = (size, size) if isinstance(size, int) else size
    return jax.image.resize(images, (images.shape[0], *shape, images.shape[3]), 'bilinear')


def resized_crop(
    images: Images,
    keys: Key[Array, 'b'],
    size: int | tuple[int, int],
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Float[Array, 'b height width c']:
    """A random rectangle, of a share of the image's area in `area` and an aspect in `ratio`
    (log-uniform), brought to `size`, bilinear and anti-aliased (Szegedy et al., 2015)."""
    height, width = (size, size) if isinstance(size, int) else size

    def one(image, key):
        h, w, c = image.shape
        sizes, places = jax.random.split(key)
        share, aspect = jax.random.uniform(sizes, (2,))
        share = area[0] + (area[1] - area[0]) * share
        aspect = jnp.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * aspect)
        cut = jnp.stack([jnp.sqrt(share * h * w / aspect), jnp.sqrt(share * h * w * aspect)])
        cut = jnp.minimum(cut, jnp.array([h, w], cut.dtype))
        start = jax.random.uniform(places, (2,)) * (jnp.array([h, w]) - cut)
        scale = jnp.array([height, width]) / cut
        return jax.image.scale_and_translate(
            image, (height, width, c), (0, 1), scale, -start * scale, 'bilinear'
        )

    return jax.vmap(one)(images, keys)


def affine(
    images: Images,
    keys: Key[Array, 'b'],
    rotate: float = 0.0,
    translate: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    shear: float = 0.0,
    fill: float = 0.0,
) -> Images:
    """A random turn (up to +-`rotate` degrees), shift (+-`translate` of each side), magnification
    (log-uniform in `scale`) and shear (+-`shear` degrees along x), about the middle."""

    def one(image, key):
        u = jax.random.uniform(key, (5,), image.dtype, -1, 1)
        low, high = math.log(scale[0]), math.log(scale[1])
        size = jnp.exp((low + high) / 2 + u[3] * (high - low) / 2)
        shift = u[1:3] * translate * jnp.array([image.shape[1], image.shape[0]])
        angle, slant = jnp.deg2rad(rotate * u[0]), jnp.deg2rad(shear * u[4])
        return warp(image, matrix(angle, shift, size, slant), fill)

    return jax.vmap(one)(images, keys)


def matrix(
    angle: Float[Array, ''] | float = 0.0,
    shift: Float[Array, '2'] | tuple[float, float] = (0.0, 0.0),
    scale: Float[Array, ''] | float = 1.0,
    shear: Float[Array, ''] | float = 0.0,
) -> Float[Array, '2 3']:
    """The map for `warp` that turns the content by `angle` (radians, counter-clockwise as seen),
    shears it by `shear` (radians), magnifies by `scale` and moves it by `shift` pixels (x, y).

    With A = scale R(angle) S(shear) and y down, content at p goes to A p + shift; `warp` needs the
    inverse, p = A^-1 (q - shift).
    """
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])  # R^-1
    slope = jnp.tan(jnp.asarray(shear, turn.dtype))
    unshear = jnp.stack([jnp.stack([1.0, -slope]), jnp.array([0.0, 1.0])])
    inverse = jnp.matmul(unshear, turn, precision='highest') / scale
    offset = -jnp.matmul(inverse, jnp.asarray(shift, turn.dtype), precision='highest')
    return jnp.concatenate([inverse, offset[:, None]], axis=1)


def warp(
    image: Float[Array, 'h w c'], source: Float[Array, '2 3'], fill: float = 0.0
) -> Float[Array, 'h w c']:
    """Samples `image` bilinearly: the pixel at q comes from source @ (q, 1).

    Points are (x, y) in pixels from the middle of the image, at pixel centers. Outside lies
    `fill`. Differentiable in the image and in `source`.
    """
    h, w, _ = image.shape
    x, y = jnp.meshgrid(jnp.arange(w) - (w - 1) / 2, jnp.arange(h) - (h - 1) / 2)
    x, y = (source[i, 0] * x + source[i, 1] * y + source[i, 2] for i in (0, 1))
    return sample(image, x + (w - 1) / 2, y + (h - 1) / 2, fill)


def sample(
    image: Float[Array, 'h w c'],
    x: Float[Array, '*points'],
    y: Float[Array, '*points'],
    fill: float = 0.0,
) -> Float[Array, '*points c']:
    """Bilinear values at column x and row y (pixel centers at integers), `fill` outside."""
    h, w, _ = image.shape
    left, top = jnp.floor(x), jnp.floor(y)
    value = 0.0
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            i = jnp.clip(row, 0, h - 1).astype(jnp.int32)
            j = jnp.clip(column, 0, w - 1).astype(jnp.int32)
            corner = jnp.where(inside[..., None], image[i, j], fill)
            value = value + (weight_y * weight_x)[..., None] * corner
    return value
