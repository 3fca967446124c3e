"""A folder of images as a data set: class by subfolder, or flat and unlabeled."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from jaxcv.data.dataset import Dataset, Example
from jaxcv.data.resize import resize_image
from jaxcv.errors import UserError, choose

SUFFIXES = ('.bmp', '.gif', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
DECODED = 50_000  # up to so many files each is decoded when checked; of more, headers are read


def folder(path: Path, split: str, image_size: int | tuple[int, int] | None = None) -> Dataset:
    """Images under `path`, uint8 [h w c]: one channel if all files are gray, else RGB.

    `path/train` and `path/test` (or `val`) are the splits if they exist; otherwise the hash of a
    file's name puts one in ten into the test split. All files are checked here, so that a broken
    one does not stop a run later. Sizes may differ only if `image_size` is given.
    """
    if not path.is_dir():
        raise UserError(f'no folder {path} (data.path)')
    files, classes = _divide(path)
    headers = _check(path, files['train'] + files['test'], image_size)
    channels = 1 if all(header.gray for header in headers) else 3
    labels = {name: i for i, name in enumerate(classes)}
    chosen = tuple((file, labels.get(name)) for file, name in files[split])
    if not chosen:
        raise UserError(f'{path} has no images for the {split!r} split')
    return Dataset(path.name, Files(chosen, channels, image_size), classes)


@dataclass(frozen=True)
class Files:
    """Image files, decoded when read."""

    files: tuple[tuple[Path, int | None], ...]
    channels: int
    image_size: int | tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Example:
        from PIL import Image, ImageOps

        file, label = self.files[index]
        try:
            with Image.open(file) as picture:
                picture = ImageOps.exif_transpose(picture)
                image = np.asarray(picture.convert('L' if self.channels == 1 else 'RGB'))
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f'{file} is not a readable image: {error}') from None
        image = image.reshape(*image.shape[:2], self.channels)
        if self.image_size is not None:
            image = resize_image(image, self.image_size)
        return {'image': image} | ({} if label is None else {'label': np.int32(label)})


def _divide(path):
    """({'train': [(file, class name or None)], 'test': ...}, classes)."""
    root = path / 'train' if (path / 'train').is_dir() else path
    train = _find(root)
    classes = _classes(train)
    tests = [path / name for name in ('test', 'val') if (path / name).is_dir()]
    if root == path or not tests:
        return _hashed(root, train), classes
    test = _find(tests[0])
    for name in _classes(test):
        choose(name, classes, f'class folder in {tests[0]}')
    return {'train': train, 'test': test}, classes


def _find(path):
    """[(file, name of the subfolder of `path` it is in, or None)], sorted."""
    files = []
    for base, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        inner = Path(base).relative_to(path).parts
        files += [
            (Path(base, name), inner[0] if inner else None)
            for name in sorted(names)
            if name.lower().endswith(SUFFIXES) and not name.startswith('.')
        ]
    if not files:
        raise UserError(f'no images in {path} (looked for {", ".join(SUFFIXES)})')
    loose = [file for file, name in files if name is None]
    if loose and len(loose) < len(files):
        raise UserError(
            f'{path} has images both in subfolders and beside them ({loose[0].name}): '
            'use subfolders as classes, or put all images in one folder'
        )
    return files


def _classes(files):
    return tuple(sorted({name for _, name in files if name is not None}))


def _hashed(path, files):
    """One file in ten is for testing, always the same ones; at least one, if there are two."""

    def digest(file):
        name = file[0].relative_to(path).as_posix()
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), 'big')

    test = {file for file in files if digest(file) % 10 == 0}
    if len(test) in (0, len(files)):
        test = {min(files, key=digest)} if len(files) > 1 else set()
    return {
        'train': [file for file in files if file not in test],
        'test': [file for file in files if file in test],
    }


@dataclass(frozen=True)
class _Header:
    size: tuple[int, int]
    gray: bool


def _check(path, files, image_size):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        check = partial(_header, decode=len(files) <= DECODED)
        headers = list(pool.map(check, [file for file, _ in files]))
    sizes = {header.size: file for header, (file, _) in zip(headers, files, strict=True)}
    if len(sizes) > 1 and image_size is None:
        (first, a), (second, b) = list(sizes.items())[:2]
        raise UserError(
            f'images of {path} differ in size ({a.name} is {first[0]}x{first[1]}, {b.name} '
            f'{second[0]}x{second[1]}): set image_size'
        )
    return headers


def _header(file, decode):
    """Width, height and whether it is gray, having read the file."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            size = picture.size
            turned = picture.getexif().get(0x0112, 1) >= 5  # orientation: sides swapped
            gray = picture.mode in ('1', 'L')
            if decode:
                picture.draft('L', (1, 1))  # JPEG: entropy decoding only at an eighth of the size
                picture.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f'{file} is not a readable image: {error}') from None
    return _Header(size[::-1] if turned else size, gray)
