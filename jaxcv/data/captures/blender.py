"""transforms.json: the format of NeRF's Blender scenes, D-NeRF, instant-ngp and nerfstudio.

Poses there are camera to world with OpenGL's axes.
"""

import json
import math
import os
from pathlib import Path

import numpy as np

from jaxcv.data.captures import ply
from jaxcv.data.captures.capture import Capture, divided, every_eighth
from jaxcv.data.captures.pictures import inspect, smaller
from jaxcv.data.captures.placed import (
    LENS,
    Intrinsics,
    cameras,
    from_opengl,
    lens,
    rigid,
    to_opengl,
)
from jaxcv.errors import UserError, choose

SINGLE = 'transforms.json'
SPLITS = ('train', 'val', 'test')
PLY = 'sparse_pc.ply'
SUFFIXES = ('.png', '.jpg', '.jpeg')
# name: (model of `Camera`, the coefficients that it may have)
BROWN = ('k1', 'k2', 'p1', 'p2', 'k3')
MODELS = {
    'SIMPLE_PINHOLE': ('pinhole', BROWN),
    'PINHOLE': ('pinhole', BROWN),
    'SIMPLE_RADIAL': ('pinhole', BROWN),
    'RADIAL': ('pinhole', BROWN),
    'OPENCV': ('pinhole', BROWN),
    'FULL_OPENCV': ('pinhole', LENS['pinhole']),
    'OPENCV_FISHEYE': ('fisheye', LENS['fisheye']),
    'ORTHOPHOTO': ('orthographic', ()),
}


def found(path: str | Path) -> bool:
    """Whether there is such a file."""
    return any(file.is_file() for file in _files(Path(path)).values())


def read(path: str | Path, downscale: int = 1) -> Capture:
    """A folder with transforms_train.json (and _val, _test) or transforms.json, or such a file.

    The splits of a single file are its `train_filenames` (`val_filenames`, `test_filenames`);
    without them every 8th photograph is for testing. `downscale` 4 reads `images_4` for `images`.
    """
    path = Path(path)
    folder = path.parent if path.suffix == '.json' else path
    files = _files(path)
    metas = [_meta(file) for file in files.values()]
    # What a frame does not say of itself, its file says of all.
    frames = [
        {**meta, **frame, 'where': f'frame {i} of {meta["where"]}'}
        for meta in metas
        for i, frame in enumerate(meta['frames'])
    ]
    if not frames:
        raise UserError(f'{path} has no frames')
    stated = [_image(folder / _path(frame, 'file_path')) for frame in frames]
    splits = _by_name(metas[0], frames) if None in files else _by_file(files, metas)
    images = smaller(stated, downscale)
    size, transparent = inspect(images)
    points = None
    if 'ply_file_path' in metas[0]:
        points = ply.read(folder / _path(metas[0], 'ply_file_path'))
    poses = rigid(np.array([_matrix(frame) for frame in frames]), images)
    intrinsics = [_intrinsics(frame, size) for frame in frames]
    return Capture(
        cameras=cameras(from_opengl(poses), intrinsics, images, size),
        images=tuple(images),
        channels=4 if transparent else 3,
        splits=divided(splits, str(path)),
        masks=_beside(folder, frames, 'mask_path', 'mask', size, downscale),
        depths=_beside(folder, frames, 'depth_file_path', 'depth', size, downscale),
        depth_unit=_number(metas[0], 'depth_unit_scale_factor', 1e-3),
        times=_numbers(frames, 'time'),
        near=_numbers(frames, 'near'),
        far=_numbers(frames, 'far'),
        points=points,
        transform=_transform(metas[0]),
    )


def write(folder: str | Path, capture: Capture) -> None:
    """transforms.json and sparse_pc.ply with nerfstudio's fields, from which `read` gives the same
    capture. Images, masks and depths stay where they are, and are named from `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SINGLE, PLY):
        if (folder / name).exists():
            raise UserError(f'{folder} already has a {name}: choose another folder')

    def named(file):
        return Path(os.path.relpath(file, folder)).as_posix()

    columns = _columns(capture.cameras)
    columns['file_path'] = [named(file) for file in capture.images]
    for name, files in (('mask_path', capture.masks), ('depth_file_path', capture.depths)):
        if files is not None:
            columns[name] = [named(file) for file in files]
    for name, values in (('time', capture.times), ('near', capture.near), ('far', capture.far)):
        if values is not None:
            columns[name] = np.asarray(values, np.float64).tolist()
    frames = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    meta = {
        'w': capture.cameras.width,
        'h': capture.cameras.height,
        'camera_model': _model(capture.cameras),
        'applied_transform': np.asarray(capture.transform, np.float64)[:3].tolist(),
        'depth_unit_scale_factor': float(capture.depth_unit),
        **{
            f'{split}_filenames': [columns['file_path'][i] for i in capture.splits.get(split, ())]
            for split in SPLITS
        },
    }
    if capture.points is not None:
        meta['ply_file_path'] = PLY
        ply.write(folder / PLY, capture.points)
    (folder / SINGLE).write_text(json.dumps({**meta, 'frames': frames}, indent=1) + '\n')


# Reading


def _files(path):
    """{split: file}, or {None: file} of the single one."""
    if path.suffix == '.json':
        return {None: path}
    divided = {split: path / f'transforms_{split}.json' for split in SPLITS}
    present = {split: file for split, file in divided.items() if file.is_file()}
    return present or {None: path / SINGLE}


def _meta(file):
    try:
        meta = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f'{file} cannot be read as JSON: {error}') from None
    frames = meta.get('frames') if isinstance(meta, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise UserError(f'{file} must be an object with a list of objects, "frames"')
    return {**meta, 'where': str(file)}


def _by_file(files, metas):
    ends = np.cumsum([len(meta['frames']) for meta in metas])
    return {
        split: np.arange(end - len(meta['frames']), end)
        for split, meta, end in zip(files, metas, ends, strict=True)
    }


def _by_name(meta, frames):
    listed = {split: _listed(meta, f'{split}_filenames') for split in SPLITS}
    if not any(listed.values()):
        return every_eighth(len(frames))
    names = [Path(frame['file_path']) for frame in frames]
    unknown = sorted(set().union(*listed.values()) - set(names))
    if unknown:
        raise UserError(f'{meta["where"]} lists {unknown[0]} for a split, but has no such frame')
    return {
        split: np.array([i for i, name in enumerate(names) if name in chosen], int)
        for split, chosen in listed.items()
    }


def _listed(meta, name):
    files = meta.get(name, [])
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise UserError(f'{name} of {meta["where"]} must be a list of names of files')
    return {Path(file) for file in files}


def _image(file):
    """Blender's scenes leave the suffix out."""
    if file.suffix.lower() in SUFFIXES or file.is_file():
        return file
    candidates = [file.with_name(file.name + suffix) for suffix in SUFFIXES]
    return next((file for file in candidates if file.is_file()), candidates[0])


def _beside(folder, frames, name, what, size, downscale):
    """Files of masks or depths, or None."""
    if not any(name in frame for frame in frames):
        return None
    files = smaller([folder / _path(frame, name) for frame in frames], downscale)
    found, _ = inspect(files, what)
    if found != size:
        raise UserError(
            f'{files[0]} is {found[0]}x{found[1]}, but must have the size of its image, '
            f'{size[0]}x{size[1]}'
        )
    return tuple(files)


def _matrix(frame):
    try:
        matrix = np.array(_get(frame, 'transform_matrix'), np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((3, 4), (4, 4)):
        raise UserError(f'the transform_matrix of {frame["where"]} must be 4x4 numbers')
    return matrix[:3]


def _transform(meta):
    if 'applied_transform' not in meta:
        return np.eye(4)
    matrix = _matrix({'transform_matrix': meta['applied_transform'], 'where': meta['where']})
    return np.vstack([matrix * _number(meta, 'applied_scale', 1.0), [0, 0, 0, 1]])


def _intrinsics(frame, size):
    width, height = (_number(frame, name, value) for name, value in zip('wh', size, strict=True))
    default = 'OPENCV_FISHEYE' if frame.get('is_fisheye') else 'OPENCV'
    name = choose(
        frame.get('camera_model', default), MODELS, f'the camera_model of {frame["where"]}'
    )
    model, allowed = MODELS[name]
    values = {key: _number(frame, key, 0.0) for key in LENS['pinhole']}
    for key, value in values.items():
        if value and key not in allowed:
            raise UserError(
                f'{frame["where"]} has {key} = {value}, but the lens of {name} has only '
                f'{", ".join(allowed) or "no coefficients"}: undistort the images'
            )
    focal_x = _focal(frame, 'fl_x', 'camera_angle_x', width, None)
    return Intrinsics(
        model=model,
        size=(width, height),
        focal=(focal_x, _focal(frame, 'fl_y', 'camera_angle_y', height, focal_x)),
        center=(_number(frame, 'cx', width / 2), _number(frame, 'cy', height / 2)),
        lens=lens(model, values),
    )


def _focal(frame, name, angle, size, default):
    if name in frame:
        return _number(frame, name)
    if angle in frame:
        return 0.5 * size / math.tan(0.5 * _number(frame, angle))
    if default is None:
        raise UserError(f'{frame["where"]} has no focal length: it needs {name} or {angle}')
    return default


def _get(frame, name):
    if name not in frame:
        raise UserError(f'{frame["where"]} has no {name}')
    return frame[name]


def _path(frame, name):
    path = _get(frame, name)
    if not isinstance(path, str):
        raise UserError(f'{name} of {frame["where"]} is {path!r}, but must be the name of a file')
    return path


def _number(frame, name, default=None):
    value = _get(frame, name) if default is None else frame.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UserError(f'{name} of {frame["where"]} is {value!r}, but must be a number')
    return float(value)


def _numbers(frames, name):
    """Of every frame, or None."""
    if not any(name in frame for frame in frames):
        return None
    return np.array([_number(frame, name) for frame in frames])


# Writing


def _model(camera):
    if camera.model != 'pinhole':
        return {'fisheye': 'OPENCV_FISHEYE', 'orthographic': 'ORTHOPHOTO'}[camera.model]
    return ('PINHOLE', 'OPENCV', 'FULL_OPENCV')[np.searchsorted((0, 5), camera.lens.shape[-1])]


def _columns(camera):
    """{name: of every frame}."""
    pose = to_opengl(np.asarray(camera.pose, np.float64))
    last = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (len(pose), 1, 4))
    columns = {'transform_matrix': np.concatenate([pose, last], axis=1)}
    columns['fl_x'], columns['fl_y'] = np.asarray(camera.focal).T
    columns['cx'], columns['cy'] = np.asarray(camera.center).T
    columns |= dict(zip(LENS[camera.model], np.asarray(camera.lens).T, strict=False))
    return {name: np.asarray(column, np.float64).tolist() for name, column in columns.items()}
