"""Faces and other patches: 200 gray images of 25x25 (from LFW, shipped by scikit-image)."""

import numpy as np
import tensorflow_datasets as tfds

from jaxcv.data.builders.embedded import Embedded, png, stratified


class JaxcvFaces(Embedded):
    """uint8 [25 25 1]; label 1 is a face; 80% of each class for training."""

    description = __doc__

    def fields(self):
        return {
            'image': tfds.features.Image(shape=(25, 25, 1)),
            'label': tfds.features.ClassLabel(names=['other', 'face']),
        }

    def examples(self, split):
        from skimage.data import lfw_subset

        images = np.round(lfw_subset() * 255).astype(np.uint8)
        labels = (np.arange(len(images)) < 100).astype(int)  # the first hundred are faces
        for i in stratified(labels, split):
            yield {'image': png(images[i]), 'label': int(labels[i])}
