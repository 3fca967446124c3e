"""The shapes world (`jaxcv.data.shapes`) as a prepared data set."""

import numpy as np
import tensorflow_datasets as tfds

from jaxcv.data.builders.embedded import Embedded, png
from jaxcv.data.shapes import MAX_OBJECTS, SEEDS, SHAPES, scene

COUNTS = {'train': 8192, 'test': 1024}


class JaxcvShapes(Embedded):
    """Colored shapes with class, box, mask and caption."""

    description = __doc__
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS asks for a list)
        tfds.core.BuilderConfig(name='32', description='32x32 pixels'),
        tfds.core.BuilderConfig(name='64', description='64x64 pixels'),
    ]

    def fields(self):
        size = int(self.builder_config.name)
        return {
            'image': tfds.features.Image(shape=(size, size, 3)),
            'label': tfds.features.ClassLabel(names=SHAPES),
            'boxes': tfds.features.Tensor(shape=(MAX_OBJECTS, 4), dtype=np.float32),
            'classes': tfds.features.Tensor(shape=(MAX_OBJECTS,), dtype=np.int32),
            'colors': tfds.features.Tensor(shape=(MAX_OBJECTS,), dtype=np.int32),
            'present': tfds.features.Tensor(shape=(MAX_OBJECTS,), dtype=np.bool_),
            'mask': tfds.features.Tensor(shape=(size, size), dtype=np.uint8),
            'caption': tfds.features.Text(),
        }

    def examples(self, split):
        size = int(self.builder_config.name)
        for index in range(COUNTS[split]):
            record = scene(SEEDS[split], index, size)
            yield record | {'image': png(record['image']), 'caption': str(record['caption'])}
