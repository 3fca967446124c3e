"""Patches of seven photographs that ship in scikit-image and scikit-learn."""

import numpy as np
import tensorflow_datasets as tfds

from jaxcv.data.builders.embedded import Embedded, png

PHOTOS = ('astronaut', 'chelsea', 'china', 'coffee', 'flower', 'motorcycle', 'rocket')


class JaxcvPatches(Embedded):
    """uint8 [size size 3], labeled by photograph.

    The right quarter of each photograph is for testing; no pixel of it is in a training patch.
    Training patches overlap by half, test patches do not overlap.
    """

    description = __doc__
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS asks for a list)
        tfds.core.BuilderConfig(name='32', description='32x32 patches'),
        tfds.core.BuilderConfig(name='64', description='64x64 patches'),
    ]

    def fields(self):
        size = int(self.builder_config.name)
        return {
            'image': tfds.features.Image(shape=(size, size, 3)),
            'label': tfds.features.ClassLabel(names=PHOTOS),
        }

    def examples(self, split):
        size = int(self.builder_config.name)
        for label, name in enumerate(PHOTOS):
            photo = _photo(name)
            border = photo.shape[1] * 3 // 4
            region = photo[:, :border] if split == 'train' else photo[:, border:]
            for patch in cut(region, size, size // 2 if split == 'train' else size):
                yield {'image': png(patch), 'label': label}


def cut(image: np.ndarray, size: int, stride: int):
    """All size x size patches of [h w c] on a grid."""
    for y in range(0, image.shape[0] - size + 1, stride):
        for x in range(0, image.shape[1] - size + 1, stride):
            yield image[y : y + size, x : x + size]


def _photo(name):
    import skimage.data
    from sklearn.datasets import load_sample_image

    if name in ('china', 'flower'):
        return load_sample_image(f'{name}.jpg')
    if name == 'motorcycle':
        return skimage.data.stereo_motorcycle()[0]
    return getattr(skimage.data, name)()
