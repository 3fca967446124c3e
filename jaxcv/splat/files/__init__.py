"""Scenes of Gaussians in the files of other programs: `.ply` (3DGS), `.splat` and `.spz`.

Only PLY keeps every digit. All are read as numpy arrays, in the axes of the PLY file of the same
scene: SPZ has its own (see `spz`).
"""

from pathlib import Path

from jaxcv.errors import choose
from jaxcv.splat.files.ply import read_ply, write_ply
from jaxcv.splat.files.splat import read_splat, write_splat
from jaxcv.splat.files.spz import read_spz, write_spz
from jaxcv.splat.gaussians import Gaussians

_READERS = {'.ply': read_ply, '.splat': read_splat, '.spz': read_spz}
_WRITERS = {'.ply': write_ply, '.splat': write_splat, '.spz': write_spz}


def read(path: str | Path) -> Gaussians:
    """The scene of a file, in the format that its suffix names."""
    return _READERS[_suffix(path)](path)


def write(path: str | Path, gaussians: Gaussians) -> None:
    """Writes a scene in the format that the suffix names."""
    _WRITERS[_suffix(path)](path, gaussians)


def _suffix(path):
    return choose(Path(path).suffix.lower(), _READERS, f'the suffix of {path}')


__all__ = [
    'read',
    'read_ply',
    'read_splat',
    'read_spz',
    'write',
    'write_ply',
    'write_splat',
    'write_spz',
]
