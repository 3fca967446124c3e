"""Arrays of pixels: to bytes, beside each other, in color."""

import io
import math

import numpy as np
from jaxtyping import Float, Shaped, UInt8


def to_uint8(pixels: Shaped[np.ndarray, '...']) -> UInt8[np.ndarray, '...']:
    """Floats in [0, 1] become 0..255, rounded and clipped; NaN becomes 0. Integers are clipped."""
    pixels = np.asarray(pixels)
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool or np.issubdtype(pixels.dtype, np.integer):
        scale = 255 if pixels.dtype == bool else 1
        return (pixels.astype(np.int64) * scale).clip(0, 255).astype(np.uint8)
    pixels = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    return np.round(pixels.clip(0, 1) * 255).astype(np.uint8)


def grid(
    images: Shaped[np.ndarray, 'n h w c'], columns: int | None = None, pad: int = 1
) -> Shaped[np.ndarray, 'H W c']:
    """Images in rows, `pad` white pixels between them; as square as it goes unless `columns`."""
    images = np.asarray(images)
    n, h, w, c = images.shape
    columns = min(columns or math.ceil(math.sqrt(n)), max(n, 1))
    rows = -(-n // columns)
    white = 255 if images.dtype == np.uint8 else 1
    canvas = np.full((rows, h + pad, columns, w + pad, c), white, images.dtype)
    cells = canvas.transpose(0, 2, 1, 3, 4)
    for i, image in enumerate(images):
        cells[i // columns, i % columns, :h, :w] = image
    return canvas.reshape(rows * (h + pad), columns * (w + pad), c)[: -pad or None, : -pad or None]


def enlarge(pixels: Shaped[np.ndarray, '*t h w c'], least: int) -> Shaped[np.ndarray, '*t H W c']:
    """Repeats pixels, by an integer, until the longer side has at least `least`."""
    factor = -(-least // max(pixels.shape[-3:-1]))
    return pixels.repeat(factor, -3).repeat(factor, -2) if factor > 1 else pixels


def colorize(
    values: Float[np.ndarray, '*s'],
    low: float | None = None,
    high: float | None = None,
    map: str = 'viridis',
) -> Float[np.ndarray, '*s 3']:
    """A scalar map in the colors of a matplotlib colormap, [0, 1].

    `low` and `high` are the values at its two ends, by default the least and the greatest finite
    value; what is not a number is gray.
    """
    import matplotlib

    values = np.asarray(values, np.float32)
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.zeros(1, np.float32)
    low = known.min() if low is None else low
    high = known.max() if high is None else high
    share = (np.where(np.isnan(values), low, values) - low) / max(float(high - low), 1e-12)
    colors = matplotlib.colormaps[map](share.clip(0, 1))[..., :3].astype(np.float32)
    colors[np.isnan(values)] = 0.5
    return colors


def encode_png(pixels: Shaped[np.ndarray, 'h w c']) -> bytes:
    """A PNG file of an image with 1 or 3 channels."""
    from PIL import Image

    pixels = to_uint8(pixels)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, 'png')
    return file.getvalue()
