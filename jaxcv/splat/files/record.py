"""What the formats have in common: which records can be written, and opacities as bytes."""

from pathlib import Path

import numpy as np

from jaxcv.errors import UserError
from jaxcv.ops import sh
from jaxcv.splat.gaussians import Gaussians

SIZES = tuple(sh.size(degree) for degree in range(sh.DEGREES + 1))  # coefficients


def checked(path: str | Path, gaussians: Gaussians) -> Gaussians:
    """The record in float32 and numpy, if it can be written to `path`."""
    found = Gaussians(*(np.asarray(x, np.float32) for x in gaussians))
    count, coefficients = found.sh.shape[:2]
    some(path, count)
    if coefficients not in SIZES:
        raise UserError(
            f'{path}: the Gaussians have {coefficients} coefficients of spherical harmonics, but '
            f'must have {", ".join(map(str, SIZES))}'
        )
    shapes = Gaussians((count, 3), (count, 3), (count, 4), (count,), (count, coefficients, 3))
    for name, values, shape in zip(found._fields, found, shapes, strict=True):
        if values.shape != shape:
            raise UserError(f'{path}: {name} has shape {values.shape}, but must have {shape}')
        if not np.isfinite(values).all():
            raise UserError(f'{path}: {name} holds numbers that are not finite')
    return found


def some(path: str | Path, count: int) -> None:
    """Whether there is a Gaussian."""
    if not count:
        raise UserError(f'{path}: there are no Gaussians, but a scene has at least one')


def file_bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error}') from error


def opacity_bytes(logits: np.ndarray) -> np.ndarray:
    """Opacities as uint8, 255 for 1."""
    return np.rint(255 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.uint8)


def opacity_logits(codes: np.ndarray) -> np.ndarray:
    """Logits of opacities from bytes. 0 and 255 stand for half a step each, whose middles are
    finite."""
    opacity = np.clip(codes, 0.25, 254.75) / 255
    return np.log(opacity / (1 - opacity)).astype(np.float32)
