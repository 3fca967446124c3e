"""Files of photographs, masks and depths: are they there, how large are they, what do they hold."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from jaxcv.errors import UserError

Size = tuple[int, int]  # width, height


def inspect(files: Sequence[Path], what: str = 'image') -> tuple[Size, bool]:
    """The size that all files have, and whether any is transparent. Only headers are read."""
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f'{len(missing)} of {len(files)} {what}s are missing, first {missing[0]}')
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = list(pool.map(_header, files))
    sizes = [size for size, _ in headers]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise UserError(
                f'the {what}s of a capture must have one size, but {files[0]} is '
                f'{_times(sizes[0])} and {file} is {_times(size)}: crop or resize them'
            )
    return sizes[0], any(transparent for _, transparent in headers)


def smaller(files: Sequence[Path], downscale: int, root: Path | None = None) -> list[Path]:
    """The same pictures in the folder of smaller ones: `images_4` beside `images`, which is `root`
    or each file's own folder.

    Where the two folders have no name in common, but as many files, they are paired in order.
    """
    if downscale == 1:
        return list(files)
    homes = [root or file.parent for file in files]
    others = {home: home.with_name(f'{home.name}_{downscale}') for home in homes}
    pairs = {home: _paired(home, other) for home, other in others.items()}
    names = [file.relative_to(home) for file, home in zip(files, homes, strict=True)]
    return [
        others[home] / pairs[home].get(name, name) for home, name in zip(homes, names, strict=True)
    ]


def _paired(folder, other):
    names, others = (
        sorted(file.relative_to(place) for file in place.rglob('*') if file.is_file())
        for place in (folder, other)
    )
    alike = len(names) == len(others) and not set(names) & set(others)
    return dict(zip(names, others, strict=True)) if alike else {}


def image(file: Path, size: Size, channels: int) -> UInt8[np.ndarray, 'h w c']:
    """RGB, or with 4 channels RGB and opacity."""
    with _opened(file, size) as picture:
        if picture.mode.startswith(('I', 'F')):
            raise UserError(f'{file} has pixels of more than 8 bits ({picture.mode}): convert it')
        return np.asarray(picture.convert('RGBA' if channels == 4 else 'RGB'))


def mask(file: Path, size: Size) -> Bool[np.ndarray, 'h w']:
    """True where it is not black."""
    with _opened(file, size) as picture:
        return np.asarray(picture.convert('L')) > 0


def depth(file: Path, size: Size) -> Float32[np.ndarray, 'h w']:
    """The numbers of a gray picture of any depth of bits, or of an .npy file."""
    if file.suffix == '.npy':
        return np.array(_array(file), np.float32)
    with _opened(file, size) as picture:
        if len(picture.getbands()) > 1:
            raise UserError(f'{file} has {len(picture.getbands())} channels, but a depth has one')
        return np.asarray(picture, np.float32)


@contextmanager
def _opened(file, size=None):
    """A picture; what is wrong with it is said with its name."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if size not in (None, picture.size):
                raise UserError(f'{file} is {_times(picture.size)}, but was {_times(size)} before')
            yield picture
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f'{file} is not a readable picture: {error}') from None


def _array(file):
    try:
        array = np.load(file, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f'{file} is not a readable array: {error}') from None
    if array.ndim != 2:
        raise UserError(f'{file} is {list(array.shape)}, but a depth is [height width]')
    return array


def _header(file):
    """Size, and whether it is transparent."""
    if file.suffix == '.npy':
        return _array(file).shape[::-1], False
    with _opened(file) as picture:
        return picture.size, picture.has_transparency_data


def _times(size):
    return f'{size[0]}x{size[1]}'
