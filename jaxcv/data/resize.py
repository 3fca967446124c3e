"""Images brought to one size on the host, as they are read."""

import numpy as np

from jaxcv.data.dataset import Example
from jaxcv.errors import UserError


def resize_example(example: Example, size: int | tuple[int, int]) -> Example:
    """The example with its `image` resized by `resize_image`."""
    return example | {'image': resize_image(example['image'], size)}


def resize_image(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """uint8 [h w c] to [size size c] (or [height width c]): scaled to cover, middle kept."""
    from PIL import Image, ImageOps

    height, width = (size, size) if isinstance(size, int) else size
    if image.shape[:2] == (height, width):
        return image
    if image.dtype != np.uint8 or image.shape[2] not in (1, 3, 4):
        raise UserError(
            f'image_size needs uint8 images of 1, 3 or 4 channels, got {image.dtype} '
            f'{list(image.shape)}'
        )
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(height, width, -1)
