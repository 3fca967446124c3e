"""What the builders share: images as PNG, two splits, a stratified division."""

import abc
import io
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds


class Embedded(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder with a train and a test split, stored in the order in which `examples` gives them.

    Subclasses say `description`, `fields()` and `examples(split)`.
    """

    VERSION = tfds.core.Version('1.0.0')
    description = ''

    @abc.abstractmethod
    def fields(self) -> dict:
        """TFDS features by name."""

    @abc.abstractmethod
    def examples(self, split: str) -> Iterator[dict]:
        """The examples of 'train' or 'test', as `fields` declares them."""

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.description,
            features=tfds.features.FeaturesDict(self.fields()),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in ('train', 'test')}

    def _generate_examples(self, split):
        yield from enumerate(self.examples(split))


def png(image: np.ndarray) -> io.BytesIO:
    """uint8 [h w] or [h w c] as a file: TFDS encodes arrays only with TensorFlow."""
    from PIL import Image

    file = io.BytesIO()
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    Image.fromarray(image).save(file, 'png', compress_level=1)
    file.seek(0)
    return file


def stratified(labels: np.ndarray, split: str, fraction: float = 0.2, seed: int = 0) -> np.ndarray:
    """Sorted indices of a split: `fraction` of every class, rounded, is for testing."""
    rng = np.random.default_rng(seed)
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        test[members[: round(fraction * len(members))]] = True
    return np.flatnonzero(test if split == 'test' else ~test)
