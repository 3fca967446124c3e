"""`load`: a data set by name, wherever it comes from."""

import os
from functools import partial
from pathlib import Path

from jaxcv.data import encoded
from jaxcv.data.dataset import Dataset, MappedSource, some
from jaxcv.data.folder import folder
from jaxcv.data.npz import npz
from jaxcv.data.resize import resize_example
from jaxcv.data.shapes import SEEDS, scenes
from jaxcv.errors import UserError, choose

EMBEDDED = ('digits', 'faces', 'patches', 'shapes')
OWN = (*EMBEDDED, 'scenes')  # there without a download or a path
DRAWN_AT = {'patches': (32, 64), 'shapes': (32, 64)}  # made at these sizes, never resized
SCENES = {'train': 2**16, 'test': 1024}


def load(
    name: str,
    split: str = 'train',
    *,
    path: str | os.PathLike | None = None,
    image_size: int | tuple[int, int] | None = None,
    data_dir: str | os.PathLike | None = None,
) -> Dataset:
    """One split, 'train' or 'test', of the data set `name`.

    `name`: 'digits', 'faces', 'patches' or 'shapes', which ship with the dependencies; 'folder',
    'npz' or 'encoded' (what `jaxcv.data.encoded` stored), found at `path`; 'scenes', which are
    shapes of any size, eight times as many, with the same test, drawn as they are read; or any name
    of tensorflow-datasets ('mnist', 'cifar10', 'name/config:1.0.0'), whose other splits and slices
    ('validation', 'train[:20%]') work too. Without a test split, 'test' is its validation split or
    else a fixed tenth of the training data.

    `image_size` (or (height, width)) resizes the short side and crops the middle of each `image`
    (and of nothing else: boxes and masks stay). Patches and shapes are made at 32 or 64 instead.
    `data_dir` holds prepared data: by default $TFDS_DATA_DIR or ~/tensorflow_datasets.
    """
    if name in ('encoded', 'folder', 'npz'):
        if path is None:
            raise UserError(f'data {name!r} needs data.path, where it lies')
        return _found(name, Path(path).expanduser(), split, image_size)
    if name == 'scenes':
        choose(split, SCENES, 'split')
        if isinstance(image_size, tuple):
            raise UserError(f'image_size is {image_size}, but scenes are square')
        return scenes(SCENES[split], SEEDS[split], image_size or 32)
    data_dir = Path(data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets')
    data_dir = data_dir.expanduser()
    if name in EMBEDDED:
        from jaxcv.data.builders.prepare import embedded

        made_at = _made_at(name, image_size)
        dataset = embedded(name, split, data_dir, made_at)
        return dataset if made_at else _resized(dataset, image_size)
    from jaxcv.data.catalog import catalog

    return _resized(catalog(name, split, data_dir), image_size)


def configured(section, split: str) -> Dataset:
    """The split of the data set that `config.data` names, where '' and 0 stand for no value:
    `config.data.count` of its examples."""
    path, image_size = section.path or None, section.image_size or None
    return some(load(section.name, split, path=path, image_size=image_size), section.count)


def _found(name, path, split, image_size):
    """What a path leads to."""
    if name == 'encoded':
        if image_size is not None:
            raise UserError('image_size is not for encoded data, which keeps the size it has')
        return encoded.read(path, split)
    choose(split, ('train', 'test'), 'split')
    if name == 'folder':
        return folder(path, split, image_size)
    return _resized(npz(path, split), image_size)


def _made_at(name, image_size):
    """The size at which `name` is drawn; None for those that are resized."""
    if name not in DRAWN_AT:
        return None
    sizes = DRAWN_AT[name]
    size = sizes[0] if image_size is None else image_size
    if size not in sizes:
        raise UserError(f'image_size of {name!r} is {size}, but must be one of {sizes}')
    return size


def _resized(dataset, image_size):
    if image_size is None:
        return dataset
    source = MappedSource(dataset.source, partial(resize_example, size=image_size))
    return Dataset(dataset.name, source, dataset.classes)
