"""The augmentations that a config names."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from jaxcv.data.augment.color import color_jitter, noise
from jaxcv.data.augment.compose import Augmentation, compose
from jaxcv.data.augment.erase import cutout
from jaxcv.data.augment.geometry import affine, crop, flip
from jaxcv.data.augment.policy import rand_augment
from jaxcv.data.pixels import unit
from jaxcv.errors import choose

AUGMENTATIONS = {
    'affine': affine,
    'color_jitter': color_jitter,
    'crop': crop,
    'cutout': cutout,
    'flip': flip,
    'noise': noise,
    'rand_augment': rand_augment,
}


def named(section: Mapping[str, Mapping[str, Any]]) -> Augmentation:
    """Those of `config.data.augment`, in its order, as one function of images in [0, 1]."""
    where = 'an augmentation in config.data.augment'
    return compose(
        *(
            partial(AUGMENTATIONS[choose(name, AUGMENTATIONS, where)], **fields)
            for name, fields in section.items()
        )
    )


def signed(section: Mapping[str, Mapping[str, Any]]) -> Augmentation:
    """The same, from bytes to images in [-1, 1]: what generative models learn from."""
    distort = named(section)
    return lambda images, keys: 2 * distort(unit(images), keys) - 1
