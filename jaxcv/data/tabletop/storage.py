"""The prepared scenes (`jaxcv.data.builders.tabletop`), and the cameras of their examples."""

import os
from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Array

from jaxcv.cameras import Camera, make
from jaxcv.data.dataset import Dataset
from jaxcv.errors import choose

STORED = ('100', '128', 'dynamic', 'many')


def stored(
    name: str = '100', split: str = 'train', data_dir: str | os.PathLike | None = None
) -> Dataset:
    """The split 'train' or 'test' of stored views, rendered if this is the first time.

    '100', '128'  the desk at so many pixels: 100 views to train with, 20 others to test
    'dynamic'     the desk as it moves, at 100 pixels: a camera for each of 100 times, and 20 other
                  cameras and times
    'many'        12 views at 48 pixels of each of 64 random scenes, and of 8 others to test

    Examples: image uint8 [h w 4] (straight RGBA, alpha is coverage), pose [3 4], focal [2],
    center [2], time [], scene int32 [] (the seed of `scene`; 0 for the desk), depth [h w] (along z,
    of the pixels' centers; 0 outside), normals [h w 3] (in the world; 0 outside).
    `data_dir` is as in `jaxcv.data.load`.
    """
    from jaxcv.data.builders.prepare import embedded

    choose(name, STORED, 'the name of stored scenes')
    data_dir = data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
    return embedded('tabletop', split, Path(data_dir).expanduser(), name)


def cameras(examples: Mapping[str, Array]) -> Camera:
    """Of one example, or of as many as are stacked (`jaxcv.data.arrays`)."""
    height, width = examples['image'].shape[-3:-1]
    return make(examples['pose'], examples['focal'], width, height, center=examples['center'])
