"""COLMAP's text model: cameras.txt, images.txt, points3D.txt."""

from pathlib import Path

import numpy as np

from jaxcv.data.captures.colmap_model import (
    MODELS,
    Lens,
    Model,
    Registered,
    by_number,
    unknown,
)
from jaxcv.errors import UserError


def read(folder: Path) -> Model:
    """The model in a folder; without points3D.txt it has no points."""
    points = folder / 'points3D.txt'
    return Model(
        cameras=dict(_parsed(folder / 'cameras.txt', _camera)),
        images=_parsed(folder / 'images.txt', _image, lines=2),
        points=_points(points) if points.is_file() else None,
    )


def write(folder: Path, model: Model) -> None:
    """Images without features, points without tracks; all digits."""
    cameras = [
        _line(number, lens.model, lens.width, lens.height, *lens.parameters)
        for number, lens in model.cameras.items()
    ]
    images = [
        _line(i, *image.quaternion, *image.shift, image.camera, image.name) + '\n'
        for i, image in enumerate(model.images, start=1)
    ]
    rows = () if model.points is None else zip(*(x.tolist() for x in model.points), strict=True)
    points = [_line(i, *xyz, *rgb, 0) for i, (xyz, rgb) in enumerate(rows, start=1)]
    for name, entries in (('cameras', cameras), ('images', images), ('points3D', points)):
        (folder / f'{name}.txt').write_text(''.join(entries))


def _line(*values):
    return ' '.join(map(str, values)) + '\n'


def _parsed(file, entry, lines=1):
    """[entry, ...]: comments and empty lines are no entries, and of an entry's `lines` the first
    is read (the second of an image are its features, and may be empty)."""
    found = []
    with file.open() as rows:
        for row in rows:
            row = row.strip()
            if not row or row.startswith('#'):
                continue
            try:
                found.append(entry(row, file))
            except (ValueError, IndexError) as error:
                raise UserError(
                    f'{file} is damaged or cut off at entry {len(found) + 1} ({error}): '
                    f'{row[:60]!r}'
                ) from None
            for _ in range(lines - 1):
                next(rows, None)
    return found


def _camera(row, file):
    number, model, width, height, *parameters = row.split()
    if model not in MODELS:
        raise unknown(f'camera {number} of {file}', model)
    expected = MODELS[model][2]
    if len(parameters) != len(expected.split()):
        raise ValueError(f'the parameters of {model} are {expected}')
    return int(number), Lens(model, int(width), int(height), tuple(map(float, parameters)))


def _image(row, _):
    _, *pose, camera, name = row.split(maxsplit=9)
    if len(pose) != 7:
        raise ValueError('a quaternion, a shift, a camera and a name were expected')
    pose = tuple(map(float, pose))
    return Registered(name, int(camera), pose[:4], pose[4:])


def _point(row, _):
    number, x, y, z, *color = row.split(maxsplit=7)[:7]
    if len(color) != 3:
        raise ValueError('a place and a color were expected')
    return int(number), float(x), float(y), float(z), *map(int, color)


def _points(file):
    rows = np.array(_parsed(file, _point), np.float64).reshape(-1, 7)
    return by_number(rows[:, 0], rows[:, 1:4], rows[:, 4:].astype(np.uint8))
