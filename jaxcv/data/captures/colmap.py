"""COLMAP's sparse models, text or binary, as versions 3 and 4 write them."""

import itertools
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from jaxcv.cameras import Camera
from jaxcv.data.captures import colmap_binary, colmap_text
from jaxcv.data.captures.capture import Capture, divided, every_eighth
from jaxcv.data.captures.colmap_model import MODELS, Lens, Model, Registered
from jaxcv.data.captures.pictures import inspect, smaller
from jaxcv.data.captures.placed import Intrinsics, cameras, lens, rigid
from jaxcv.errors import UserError

FOLDERS = ('sparse/0', 'sparse', 'colmap/sparse/0', '.')
FORMATS = {'.bin': colmap_binary, '.txt': colmap_text}


def found(path: str | Path) -> tuple[Path, str] | None:
    """Where under `path` a model lies, and the suffix of its files."""
    for folder, suffix in itertools.product(FOLDERS, FORMATS):
        names = (Path(path, folder, f'{name}{suffix}') for name in ('cameras', 'images'))
        if all(name.is_file() for name in names):
            return Path(path, folder), suffix
    return None


def read(path: str | Path, downscale: int = 1) -> Capture:
    """The model in `path/sparse/0` (or `path/sparse`, or `path`), photographs in `path/images`.

    Photographs are in the order of their names, and every 8th is for testing. `downscale` 4 reads
    `images_4`. Rigs and frames add nothing: images state their poses with or without them.
    """
    path = Path(path)
    place = found(path)
    if place is None:
        raise UserError(f'{path} has no sparse/0 with cameras and images, as .bin or .txt')
    folder, suffix = place
    model = FORMATS[suffix].read(folder)
    registered = sorted(model.images, key=lambda image: image.name)
    if not registered:
        raise UserError(f'{folder} has no image with a pose')
    strangers = [image for image in registered if image.camera not in model.cameras]
    if strangers:
        raise UserError(
            f'{folder}: {strangers[0].name} is by camera {strangers[0].camera}, which is not there'
        )
    home = path / 'images'
    images = smaller([home / image.name for image in registered], downscale, home)
    size, transparent = inspect(images)
    poses = rigid(_poses(registered), images)
    intrinsics = [_intrinsics(model.cameras[image.camera]) for image in registered]
    return Capture(
        cameras=cameras(poses, intrinsics, images, size),
        images=tuple(images),
        channels=4 if transparent else 3,
        splits=divided(every_eighth(len(images)), str(path)),
        points=model.points,
    )


def write(path: str | Path, capture: Capture, *, binary: bool = True) -> None:
    """`path/sparse/0` with what COLMAP has room for: cameras, poses and points. The photographs
    must lie in `path/images`."""
    folder = Path(path, 'sparse/0')
    if found(path):
        raise UserError(f'{path} already has a model: choose another folder')
    home = Path(path, 'images').resolve()
    outside = [file for file in capture.images if not file.resolve().is_relative_to(home)]
    if outside:
        raise UserError(
            f'COLMAP names images from {home}, but {len(outside)} of {len(capture)} are not there, '
            f'first {outside[0]}'
        )
    lenses = _lenses(capture.cameras)
    numbers = {one: i for i, one in enumerate(dict.fromkeys(lenses), start=1)}
    pose = np.asarray(capture.cameras.pose, np.float64)
    rows = zip(
        capture.images, lenses, quaternions(pose[:, :, :3]).tolist(), pose[:, :, 3].tolist(),
        strict=True,
    )  # fmt: skip
    registered = [
        Registered(
            file.resolve().relative_to(home).as_posix(), numbers[one], tuple(turn), tuple(shift)
        )
        for file, one, turn, shift in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    model = Model({number: one for one, number in numbers.items()}, registered, capture.points)
    FORMATS['.bin' if binary else '.txt'].write(folder, model)


def rotations(quaternions: Float64[np.ndarray, 'n 4']) -> Float64[np.ndarray, 'n 3 3']:
    """Of quaternions (w, x, y, z) of any length, in double precision."""
    with np.errstate(invalid='ignore'):
        w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    matrix = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(matrix), 2, 0)


def quaternions(rotations: Float64[np.ndarray, 'n 3 3']) -> Float64[np.ndarray, 'n 4']:
    """Unit quaternions (w, x, y, z) with w >= 0: 4 q qᵀ - 1 is linear in the rotation, and q its
    eigenvector of the largest eigenvalue (Bar-Itzhack 2000)."""
    r = np.moveaxis(rotations, 0, 2)
    a, b, c = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    d, e, f = r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1]
    x, y, z = r[0, 0], r[1, 1], r[2, 2]
    matrix = np.array(
        [[x + y + z, a, b, c], [a, x - y - z, d, e], [b, d, y - x - z, f], [c, e, f, z - x - y]]
    )
    found = np.linalg.eigh(np.moveaxis(matrix, 2, 0))[1][:, :, -1]
    return found * np.where(found[:, :1] < 0, -1, 1)


def _poses(registered):
    turns = rotations(np.array([image.quaternion for image in registered]))
    shifts = np.array([image.shift for image in registered])
    return np.concatenate([turns, shifts[:, :, None]], axis=2)


def _intrinsics(camera):
    _, model, names = MODELS[camera.model]
    values = dict(zip(names.split(), camera.parameters, strict=True))
    focal = values.get('f')
    return Intrinsics(
        model=model,
        size=(camera.width, camera.height),
        focal=(values.get('fx', focal), values.get('fy', focal)),
        center=(values['cx'], values['cy']),
        lens=lens(model, values),
    )


def _lenses(camera: Camera) -> list[Lens]:
    """The least of COLMAP's models for each camera."""
    if camera.model == 'orthographic':
        raise UserError('COLMAP has no orthographic cameras')
    names = {'pinhole': ('PINHOLE', 'OPENCV', 'FULL_OPENCV'), 'fisheye': ('OPENCV_FISHEYE',)}
    k = camera.lens.shape[-1]
    name = next(n for n in names[camera.model] if len(MODELS[n][2].split()) >= 4 + k)
    padded = np.zeros((len(camera.pose), len(MODELS[name][2].split())))
    padded[:, 0:2], padded[:, 2:4], padded[:, 4 : 4 + k] = camera.focal, camera.center, camera.lens
    return [Lens(name, camera.width, camera.height, tuple(row)) for row in padded.tolist()]
