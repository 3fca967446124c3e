"""Handwritten digits: 1797 images of 8x8 (UCI optical recognition, shipped by scikit-learn)."""

import numpy as np
import tensorflow_datasets as tfds

from jaxcv.data.builders.embedded import Embedded, png, stratified


class JaxcvDigits(Embedded):
    """uint8 [8 8 1]; 80% of each class for training."""

    description = __doc__

    def fields(self):
        return {
            'image': tfds.features.Image(shape=(8, 8, 1)),
            'label': tfds.features.ClassLabel(num_classes=10),
        }

    def examples(self, split):
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)
        for i in stratified(digits.target, split):
            yield {'image': png(images[i]), 'label': int(digits.target[i])}
