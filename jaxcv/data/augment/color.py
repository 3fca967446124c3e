"""What pixels look like: brightness, contrast, saturation, hue, noise. Images in [0, 1]."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

Image = Float[Array, 'h w c']
Images = Float[Array, 'b h w c']
Scalar = Float[Array, ''] | float


def color_jitter(
    images: Images,
    keys: Key[Array, 'b'],
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Images:
    """In this order: factors from [1 - a, 1 + a] for brightness, contrast and saturation, and a hue
    shift from [-hue, hue] turns. Saturation and hue leave images without 3 channels alone."""

    def one(image, key):
        u = jax.random.uniform(key, (4,), image.dtype, -1, 1)
        image = adjust_brightness(image, jnp.maximum(0, 1 + brightness * u[0]))
        image = adjust_contrast(image, jnp.maximum(0, 1 + contrast * u[1]))
        image = adjust_saturation(image, jnp.maximum(0, 1 + saturation * u[2]))
        return adjust_hue(image, hue * u[3]) if hue else image

    return jax.vmap(one)(images, keys)


def noise(images: Images, keys: Key[Array, 'b'], scale: float = 0.05) -> Images:
    """Adds Gaussian noise of standard deviation `scale`, clipped to [0, 1]."""

    def one(image, key):
        return jnp.clip(image + scale * jax.random.normal(key, image.shape, image.dtype), 0, 1)

    return jax.vmap(one)(images, keys)


def luma(image: Image) -> Float[Array, 'h w 1']:
    """Gray value by the weights of ITU-R BT.601; the mean where there are not 3 channels."""
    if image.shape[-1] != 3:
        return image.mean(-1, keepdims=True)
    return (image * jnp.array([0.299, 0.587, 0.114], image.dtype)).sum(-1, keepdims=True)


def adjust_brightness(image: Image, factor: Scalar) -> Image:
    """factor * image."""
    return jnp.clip(factor * image, 0, 1)


def adjust_contrast(image: Image, factor: Scalar) -> Image:
    """Away from (factor > 1) or to (< 1) the mean gray value."""
    mean = luma(image).mean()
    return jnp.clip(mean + factor * (image - mean), 0, 1)


def adjust_saturation(image: Image, factor: Scalar) -> Image:
    """Away from or to each pixel's own gray value."""
    if image.shape[-1] != 3:
        return image
    gray = luma(image)
    return jnp.clip(gray + factor * (image - gray), 0, 1)


def adjust_hue(image: Image, turns: Scalar) -> Image:
    """Adds `turns` to the hue of HSV."""
    if image.shape[-1] != 3:
        return image
    hue, saturation, value = rgb_to_hsv(image)
    return hsv_to_rgb(hue + turns, saturation, value)


def rgb_to_hsv(image: Float[Array, '*n 3']) -> tuple[Array, Array, Array]:
    """Hue (turns, in [0, 1)), saturation and value."""
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    value = image.max(-1)
    chroma = value - image.min(-1)
    safe = jnp.where(chroma > 0, chroma, 1)
    sixth = jnp.where(
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return (sixth / 6) % 1, chroma / jnp.where(value > 0, value, 1), value


def hsv_to_rgb(hue: Array, saturation: Array, value: Array) -> Float[Array, '*n 3']:
    """f(k) = v - v s max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6, n = 5, 3, 1 for r, g, b."""
    k = (jnp.array([5, 3, 1], hue.dtype) + 6 * hue[..., None]) % 6
    ramp = jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
    return value[..., None] * (1 - saturation[..., None] * ramp)
