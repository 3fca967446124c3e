"""An .npz file of images as a data set."""

import zipfile
from pathlib import Path

import numpy as np

from jaxcv.data.dataset import ArraySource, Dataset
from jaxcv.errors import UserError


def npz(path: Path, split: str) -> Dataset:
    """Keys `image` (uint8, or float in [0, 1]; [n h w c] or [n h w]) and perhaps `label` ([n]),
    `test_image`, `test_label`. Without `test_image` a fixed tenth of the images is the test split.
    """
    stored = _read(path)
    prefixes = ('', 'test_') if 'test_image' in stored else ('',)
    parts = [_part(path, stored, prefix) for prefix in prefixes]
    if len(parts) == 1:
        parts = _divide(path, parts[0])
    labels = [part['label'] for part in parts if 'label' in part and len(part['label'])]
    count = max((int(label.max()) + 1 for label in labels), default=0)
    part = parts[0 if split == 'train' else 1]
    return Dataset(path.stem, ArraySource(part), tuple(str(i) for i in range(count)))


def _read(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UserError(f'{path} is a single array, but must be an .npz with key "image"')
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise UserError(f'no file {path} (data.path)') from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f'{path} cannot be read as an .npz of plain arrays: {error}') from None


def _part(path, stored, prefix):
    name = prefix + 'image'
    part = {'image': _images(path, name, _get(path, stored, name))}
    if 'label' in stored:
        label_name = prefix + 'label'
        label = _get(path, stored, label_name)
        n = len(part['image'])
        if label.shape != (n,):
            raise UserError(
                f'{path}: {label_name!r} is {list(label.shape)}, but {name!r} holds {n} images, '
                f'so it must be [{n}]'
            )
        if label.dtype.kind not in 'iu' or label.min() < 0:
            raise UserError(f'{path}: {label_name!r} must be integers from 0, got {label.dtype}')
        part['label'] = label.astype(np.int32)
    return part


def _get(path, stored, name):
    if name not in stored:
        found = ', '.join(sorted(stored)) or 'none'
        raise UserError(f'{path} has no key {name!r}; keys found: {found}')
    return stored[name]


def _images(path, name, images):
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or 0 in images.shape or images.shape[-1] > 4:
        raise UserError(
            f'{path}: {name!r} is {list(images.shape)}, but must be [n h w] or [n h w c] with at '
            'most 4 channels'
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != 'f':
        raise UserError(f'{path}: {name!r} is {images.dtype}, but must be uint8 or float in [0, 1]')
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):
        raise UserError(f'{path}: float {name!r} must lie in [0, 1], but spans [{low}, {high}]')
    return np.round(images * 255).astype(np.uint8)


def _divide(path, part):
    n = len(part['image'])
    if n < 2:
        raise UserError(f'{path} holds {n} image, but a train and a test split need at least 2')
    order = np.random.default_rng(0).permutation(n)
    cut = max(1, n // 10)
    test, train = np.sort(order[:cut]), np.sort(order[cut:])
    return [{name: value[rows] for name, value in part.items()} for rows in (train, test)]
