"""Scenes that are known in every number, as the files of a capture."""

import json

import numpy as np
from PIL import Image


def poses(count, seed=0):
    """Camera to world, OpenCV's axes, float64 [n 4 4]: rotations from random axes and angles."""
    rng = np.random.default_rng(seed)
    found = np.tile(np.eye(4), (count, 1, 1))
    for pose in found:
        axis = rng.normal(size=3)
        a, b, c = axis / np.linalg.norm(axis)
        cross, angle = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]]), rng.uniform(0, 3)
        pose[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        pose[:3, 3] = 4 * rng.normal(size=3)
    return found


def opengl(poses):
    """The same poses with OpenGL's axes: y up, z backward."""
    return poses @ np.diag([1, -1, -1, 1])


def seen(pose, points):
    """Points in the coordinates of a camera to world pose."""
    return (np.linalg.inv(pose) @ np.append(points, np.ones((len(points), 1)), axis=1).T).T[:, :3]


def picture(path, size=(6, 4), channels=3, seed=0):
    """Random pixels [h w c] in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size[::-1], channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return pixels


def blender(folder, counts, size=(6, 4), angle=0.7, **more):
    """transforms_{split}.json with RGBA photographs; {split: (poses, pixels)}."""
    scene = {}
    for seed, (split, count) in enumerate(counts.items()):
        place = poses(count, seed)
        pixels = [
            picture(folder / split / f'r_{i}.png', size, 4, 10 * seed + i) for i in range(count)
        ]
        frames = [
            {'file_path': f'./{split}/r_{i}', 'transform_matrix': opengl(place)[i].tolist()}
            | {name: value[i] for name, value in more.items()}
            for i in range(count)
        ]
        dump(folder / f'transforms_{split}.json', {'camera_angle_x': angle, 'frames': frames})
        scene[split] = place, pixels
    return scene


def single(folder, count=10, size=(8, 6), stated=None, **meta):
    """transforms.json with nerfstudio's fields; the poses."""
    place = poses(count)
    frames = []
    for i in range(count):
        picture(folder / f'images/{i:02}.png', size, 3, i)
        frames.append(
            {'file_path': f'images/{i:02}.png', 'transform_matrix': opengl(place)[i].tolist()}
        )
    w, h = stated or size
    fields = {'w': w, 'h': h, 'fl_x': 9.5, 'fl_y': 9.25, 'cx': 4.5, 'cy': 2.75}
    dump(folder / 'transforms.json', {**fields, **meta, 'frames': frames})
    return place


def dump(path, content):
    path.write_text(json.dumps(content))


def load(path):
    return json.loads(path.read_text())


def same(capture, other):
    """Asserts that two captures agree in every bit."""
    for name in ('pose', 'focal', 'center', 'lens'):
        np.testing.assert_array_equal(getattr(capture.cameras, name), getattr(other.cameras, name))
    for name in ('width', 'height', 'model'):
        assert getattr(capture.cameras, name) == getattr(other.cameras, name)
    for name in ('images', 'masks', 'depths'):
        files, others = getattr(capture, name), getattr(other, name)
        assert (files is None) == (others is None)
        assert [file.resolve() for file in files or ()] == [file.resolve() for file in others or ()]
    assert capture.channels == other.channels
    assert capture.depth_unit == other.depth_unit
    assert capture.splits.keys() == other.splits.keys()
    for split in capture.splits:
        np.testing.assert_array_equal(capture.splits[split], other.splits[split])
    for name in ('times', 'near', 'far', 'transform'):
        np.testing.assert_array_equal(getattr(capture, name), getattr(other, name))
    assert (capture.points is None) == (other.points is None)
    for one, two in zip(capture.points or (), other.points or (), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype
