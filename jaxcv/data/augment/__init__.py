"""Augmentations: pure, jittable functions `f(images, keys, ...)` with one key per sample.

Images are float [b h w c]; geometry takes any range, color takes [0, 1] and stays in it. What
happens to a sample depends on its pixels and its key alone, never on the rest of the batch, except
in `mixup`.
"""

from jaxcv.data.augment.color import color_jitter, noise
from jaxcv.data.augment.compose import compose
from jaxcv.data.augment.erase import cutout
from jaxcv.data.augment.geometry import affine, crop, flip, resize, resized_crop, warp
from jaxcv.data.augment.mix import mixup
from jaxcv.data.augment.named import named, signed
from jaxcv.data.augment.policy import rand_augment

__all__ = [
    'affine',
    'color_jitter',
    'compose',
    'crop',
    'cutout',
    'flip',
    'mixup',
    'named',
    'noise',
    'rand_augment',
    'resize',
    'resized_crop',
    'signed',
    'warp',
]
