"""COLMAP's binary model: cameras.bin, images.bin, points3D.bin; little-endian throughout."""

import struct
from pathlib import Path

import numpy as np

from jaxcv.data.captures.colmap_model import (
    MODELS,
    NUMBERS,
    Lens,
    Model,
    Registered,
    by_number,
    unknown,
)
from jaxcv.errors import UserError

COUNT = struct.Struct('<Q')
CAMERA = struct.Struct('<IiQQ')  # its number, its model's, width, height; then parameters
IMAGE = struct.Struct('<I7dI')  # its number, quaternion, shift, its camera's; then the name
FEATURE = 24  # bytes: x, y and the point that was seen
POINT = np.dtype([('number', '<u8'), ('xyz', '<f8', 3), ('rgb', 'u1', 3), ('error', '<f8')])
SIGHT = 8  # bytes: an image and a feature in it


def read(folder: Path) -> Model:
    """The model in a folder; without points3D.bin it has no points."""
    points = folder / 'points3D.bin'
    return Model(
        cameras=dict(_records(folder / 'cameras.bin', _camera)[0]),
        images=_records(folder / 'images.bin', _image)[0],
        points=_points(points) if points.is_file() else None,
    )


def write(folder: Path, model: Model) -> None:
    """Images without features, points without tracks."""
    cameras = [
        CAMERA.pack(number, MODELS[lens.model][0], lens.width, lens.height)
        + struct.pack(f'<{len(lens.parameters)}d', *lens.parameters)
        for number, lens in model.cameras.items()
    ]
    images = [
        IMAGE.pack(i, *image.quaternion, *image.shift, image.camera)
        + image.name.encode()
        + b'\0'
        + COUNT.pack(0)
        for i, image in enumerate(model.images, start=1)
    ]
    count = 0 if model.points is None else len(model.points.xyz)
    points = np.zeros(count, [*POINT.descr, ('sights', '<u8')])
    if count:
        points['number'] = np.arange(1, count + 1)
        points['xyz'], points['rgb'] = model.points
    for name, count, content in (
        ('cameras', len(cameras), b''.join(cameras)),
        ('images', len(images), b''.join(images)),
        ('points3D', len(points), points.tobytes()),
    ):
        (folder / f'{name}.bin').write_bytes(COUNT.pack(count) + content)


def _records(file, record):
    """([record, ...], content)."""
    content = file.read_bytes()
    found, place, count = [], COUNT.size, '?'
    try:
        (count,) = COUNT.unpack_from(content)
        for _ in range(count):
            one, place = record(content, place, file)
            found.append(one)
        if place != len(content):
            raise ValueError(f'{len(content)} bytes where {place} were declared')
    except (struct.error, ValueError) as error:
        raise UserError(
            f'{file} is damaged or cut off at entry {len(found) + 1} of {count} ({error}): copy it '
            'again'
        ) from None
    return found, content


def _camera(content, place, file):
    number, model, width, height = CAMERA.unpack_from(content, place)
    if model not in NUMBERS:
        raise unknown(f'camera {number} of {file}', model)
    name = NUMBERS[model]
    parameters = struct.Struct(f'<{len(MODELS[name][2].split())}d')
    place += CAMERA.size
    lens = Lens(name, width, height, parameters.unpack_from(content, place))
    return (number, lens), place + parameters.size


def _image(content, place, _):
    _, *pose, camera = IMAGE.unpack_from(content, place)
    place += IMAGE.size
    end = content.index(b'\0', place)
    name = content[place:end].decode()
    (features,) = COUNT.unpack_from(content, end + 1)
    image = Registered(name, camera, tuple(pose[:4]), tuple(pose[4:]))
    return image, end + 1 + COUNT.size + FEATURE * features


def _point(content, place, _):
    (sights,) = COUNT.unpack_from(content, place + POINT.itemsize)
    return place, place + POINT.itemsize + COUNT.size + SIGHT * sights


def _points(file):
    places, content = _records(file, _point)
    if not places:
        return None
    # Entries differ in length: a view of one that begins at every byte, of which some are taken.
    every = np.ndarray(len(content) - POINT.itemsize, POINT, content, strides=(1,))
    points = every[np.array(places)]
    return by_number(points['number'], points['xyz'], points['rgb'])
