"""transforms.json: Blender's, D-NeRF's, instant-ngp's and nerfstudio's, read and written."""

import jax
import numpy as np
import pytest
from photographs import blender, dump, load, opengl, picture, same, seen, single

from jaxcv import cameras
from jaxcv.data import captures
from jaxcv.data.captures import Points, ply
from jaxcv.errors import UserError

project = jax.jit(cameras.project)


def test_blender_scene(tmp_path):
    scene = blender(tmp_path, {'train': 3, 'val': 1, 'test': 2})
    capture = captures.read(tmp_path)
    assert len(capture) == 6
    assert {name: index.tolist() for name, index in capture.splits.items()} == {
        'train': [0, 1, 2],
        'val': [3],
        'test': [4, 5],
    }
    assert capture.channels == 4
    assert capture.times is capture.near is capture.masks is capture.points is None
    np.testing.assert_array_equal(capture.transform, np.eye(4))
    for split, (_, pixels) in scene.items():
        for index, expected in zip(capture.splits[split], pixels, strict=True):
            np.testing.assert_array_equal(capture.image(index), expected)


def test_points_appear_where_blender_drew_them(tmp_path):
    place = blender(tmp_path, {'train': 3}, size=(60, 40), angle=0.7)['train'][0]
    capture = captures.read(tmp_path)
    inside = np.random.default_rng(1).uniform([-1, -1, 2], [1, 1, 4], (5, 3))
    points = np.stack([inside @ pose[:3, :3].T + pose[:3, 3] for pose in place])
    pixels, depth = project(captures.frames(capture, 'train').cameras, points)
    focal = 0.5 * 60 / np.tan(0.5 * 0.7)
    expected = focal * inside[:, :2] / inside[:, 2:] + [30, 20]
    np.testing.assert_allclose(pixels, np.stack([expected] * 3), atol=1e-3)
    np.testing.assert_allclose(depth, np.stack([inside[:, 2]] * 3), rtol=1e-5)


def test_times_of_a_moving_scene(tmp_path):
    blender(tmp_path, {'train': 3, 'test': 2}, time=[0.0, 0.25, 1.0], rotation=[0.3, 0.3, 0.3])
    capture = captures.read(tmp_path)
    np.testing.assert_array_equal(capture.times, [0, 0.25, 1, 0, 0.25])
    np.testing.assert_array_equal(captures.frames(capture, 'test').times, [0, 0.25])


def test_single_file_with_intrinsics(tmp_path):
    place = single(tmp_path, camera_model='OPENCV', k1=0.1, k2=-0.02, p1=0.001, p2=0.002, k3=0.0)
    capture = captures.read(tmp_path / 'transforms.json')
    points = np.random.default_rng(0).normal(size=(5, 3))
    for pose, camera in zip(place, capture.cameras.pose, strict=True):
        np.testing.assert_allclose(
            points @ camera[:, :3].T + camera[:, 3], seen(pose, points), atol=1e-12
        )
    camera = capture.cameras
    assert (camera.width, camera.height, camera.model) == (8, 6, 'pinhole')
    np.testing.assert_array_equal(camera.focal, [[9.5, 9.25]] * 10)
    np.testing.assert_array_equal(camera.center, [[4.5, 2.75]] * 10)
    np.testing.assert_array_equal(camera.lens, [[0.1, -0.02, 0.001, 0.002]] * 10)
    assert {name: index.tolist() for name, index in capture.splits.items()} == {
        'train': [1, 2, 3, 4, 5, 6, 7, 9],
        'test': [0, 8],
    }


@pytest.mark.parametrize(
    'name,given,model,lens',
    [
        ('PINHOLE', {}, 'pinhole', []),
        ('OPENCV', {'k1': 0.0, 'k2': 0.0, 'k4': 0.0}, 'pinhole', []),
        ('OPENCV', {'k3': 0.3}, 'pinhole', [0, 0, 0, 0, 0.3]),
        ('FULL_OPENCV', {'k1': 0.1, 'k6': 0.6}, 'pinhole', [0.1, 0, 0, 0, 0, 0, 0, 0.6]),
        ('OPENCV_FISHEYE', {'k1': 0.1, 'k4': 0.4}, 'fisheye', [0.1, 0, 0, 0.4]),
        ('ORTHOPHOTO', {}, 'orthographic', []),
    ],
)
def test_camera_models_there_and_back(tmp_path, name, given, model, lens):
    single(tmp_path, camera_model=name, **given)
    capture = captures.read(tmp_path)
    assert capture.cameras.model == model
    np.testing.assert_array_equal(capture.cameras.lens, np.broadcast_to(lens, (10, len(lens))))
    captures.blender.write(tmp_path / 'again', capture)
    same(capture, captures.read(tmp_path / 'again'))


def test_instant_ngp_says_fisheye_in_its_own_way(tmp_path):
    single(tmp_path, is_fisheye=True, k1=0.1)
    assert captures.read(tmp_path).cameras.model == 'fisheye'


def test_frames_may_have_their_own_intrinsics(tmp_path):
    single(tmp_path)
    meta = load(tmp_path / 'transforms.json')
    for i, frame in enumerate(meta['frames']):
        frame |= {'fl_x': 9.0 + i, 'k1': 0.01 * i}
    dump(tmp_path / 'transforms.json', meta)
    camera = captures.read(tmp_path).cameras
    np.testing.assert_array_equal(camera.focal[:, 0], 9.0 + np.arange(10))
    np.testing.assert_array_equal(camera.focal[:, 1], 9.25)
    np.testing.assert_array_equal(camera.lens[:, 0], 0.01 * np.arange(10))


def everything(folder):
    """A capture with all that a file can say."""
    single(
        folder,
        ply_file_path='cloud.ply',
        applied_transform=[[0, 1, 0, 2], [1, 0, 0, 0]] + [[0, 0, -1, 0.5]],
    )
    meta = load(folder / 'transforms.json')
    for i, frame in enumerate(meta['frames']):
        picture(folder / f'masks/{i:02}.png', (8, 6), 1, i)
        picture(folder / f'depths/{i:02}.png', (8, 6), 1, i)
        frame |= {'mask_path': f'masks/{i:02}.png', 'depth_file_path': f'depths/{i:02}.png'}
        frame |= {'time': i / 7, 'near': 0.1 + i, 'far': 7.3 * (i + 1), 'fl_x': 9 + i / 3}
    names = [frame['file_path'] for frame in meta['frames']]
    meta |= {'train_filenames': names[2:], 'val_filenames': names[:1], 'test_filenames': names[1:3]}
    dump(folder / 'transforms.json', meta)
    rng = np.random.default_rng(0)
    points = Points(rng.normal(size=(7, 3)), rng.integers(0, 256, (7, 3), np.uint8))
    ply.write(folder / 'cloud.ply', points)
    return points


def test_nerfstudio_fields(tmp_path):
    points = everything(tmp_path)
    capture = captures.read(tmp_path)
    np.testing.assert_array_equal(capture.points.xyz, points.xyz)
    np.testing.assert_array_equal(capture.points.rgb, points.rgb)
    expected = [[0, 1, 0, 2], [1, 0, 0, 0], [0, 0, -1, 0.5], [0, 0, 0, 1]]
    np.testing.assert_array_equal(capture.transform, expected)
    gray = picture(tmp_path / 'other.png', (8, 6), 1, 3)[..., 0]
    np.testing.assert_array_equal(capture.mask(3), gray > 0)
    np.testing.assert_allclose(capture.depth(3), 1e-3 * gray, rtol=1e-6)
    assert capture.depth(3).dtype == np.float32
    assert {name: index.tolist() for name, index in capture.splits.items()} == {
        'train': list(range(2, 10)),
        'val': [0],
        'test': [1, 2],
    }


def test_everything_there_and_back_to_the_last_bit(tmp_path):
    everything(tmp_path)
    capture = captures.read(tmp_path)
    captures.blender.write(tmp_path / 'new/folder', capture)
    again = captures.read(tmp_path / 'new/folder')
    same(capture, again)
    captures.blender.write(tmp_path / 'third', again)
    same(capture, captures.read(tmp_path / 'third'))


@pytest.mark.parametrize('digits', [16, 7, 4])
def test_poses_there_and_back_however_many_digits_files_have(tmp_path, digits):
    """Among them shifts with zeros, and of lengths that are powers of two."""
    place = single(tmp_path, count=60)
    meta = load(tmp_path / 'transforms.json')
    for i, frame in enumerate(meta['frames']):
        if i % 3 == 0:  # looks at the origin from a distance of 4, as synthetic scenes do
            place[i, :3, 3] = -4 * place[i, :3, 2]
        frame['transform_matrix'] = np.round(opengl(place[i]), digits).tolist()
    dump(tmp_path / 'transforms.json', meta)
    capture = captures.read(tmp_path)
    rotation = capture.cameras.pose[:, :, :3]
    error = np.abs(rotation @ rotation.swapaxes(1, 2) - np.eye(3)).max()
    assert error < 1e-6
    centers = -np.linalg.solve(rotation, capture.cameras.pose[:, :, 3:])[..., 0]
    np.testing.assert_allclose(
        centers, place[:, :3, 3], atol=10**-digits + 1e-5 * (digits == 7) + 1e-12
    )
    captures.blender.write(tmp_path / 'again', capture)
    same(capture, captures.read(tmp_path / 'again'))


def test_smaller_images_have_their_own_folder(tmp_path):
    single(tmp_path)
    for i in range(10):
        picture(tmp_path / f'images_2/{i:02}.png', (4, 3), 3, 100 + i)
    capture = captures.read(tmp_path, downscale=2)
    assert (capture.cameras.width, capture.cameras.height) == (4, 3)
    np.testing.assert_array_equal(capture.cameras.focal, [[4.75, 4.625]] * 10)
    np.testing.assert_array_equal(capture.cameras.center, [[2.25, 1.375]] * 10)
    assert capture.image(3).shape == (3, 4, 3)


def test_applied_scale_is_part_of_the_transform(tmp_path):
    single(tmp_path, applied_transform=np.eye(4)[:3].tolist(), applied_scale=0.5)
    np.testing.assert_array_equal(captures.read(tmp_path).transform, np.diag([0.5, 0.5, 0.5, 1]))


@pytest.mark.parametrize(
    'field,value,message',
    [
        ('camera_model', 'EQUIRECTANGULAR', 'camera_model .* must be one of'),
        ('camera_model', 'OPENCVV', "did you mean 'OPENCV'"),
        ('k4', 0.1, 'k4 = 0.1, but the lens of OPENCV has only k1'),
        ('fl_x', 'wide', "fl_x of .* is 'wide', but must be a number"),
        ('w', 80, 'is of another shape'),
        ('w', 0, 'all of these must be positive'),
        ('fl_y', -9.25, 'all of these must be positive'),
        ('train_filenames', 'images/07.png', 'must be a list of names of files'),
        ('frames', {}, 'list of objects'),
        ('frames', [], 'has no frames'),
        ('train_filenames', ['images/77.png'], 'lists images/77.png for a split'),
        ('test_filenames', ['images/07.png'], 'no photograph to train on'),
        ('ply_file_path', 'none.ply', 'none.ply cannot be read'),
        ('ply_file_path', 3, 'must be the name of a file'),
        ('applied_transform', [[1, 2]], 'must be 4x4 numbers'),
    ],
)
def test_wrong_fields_are_told(tmp_path, field, value, message):
    single(tmp_path)
    meta = load(tmp_path / 'transforms.json')
    dump(tmp_path / 'transforms.json', {**meta, field: value})
    with pytest.raises(UserError, match=message):
        captures.read(tmp_path)


@pytest.mark.parametrize(
    'field,value,message',
    [
        ('transform_matrix', [[1, 2], [3]], 'frame 4 of .* must be 4x4 numbers'),
        ('transform_matrix', (2 * np.eye(4)).tolist(), '1 of 10 poses .*04.png, is not a rotation'),
        ('transform_matrix', np.diag([1, 1, -1, 1]).tolist(), 'is not a rotation'),
        ('transform_matrix', (np.nan * np.eye(4)).tolist(), '04.png, is not finite'),
        ('file_path', 'images/lost.png', '1 of 10 images are missing, first .*lost.png'),
        ('file_path', 7, 'must be the name of a file'),
        ('camera_model', 'OPENCV_FISHEYE', 'of one model.*00.png is pinhole and .*04.png'),
        ('time', 0.5, 'frame 0 of .* has no time'),
        ('mask_path', 'images/00.png', 'frame 0 of .* has no mask_path'),
    ],
)
def test_wrong_frames_are_told(tmp_path, field, value, message):
    single(tmp_path)
    meta = load(tmp_path / 'transforms.json')
    meta['frames'][4][field] = value
    dump(tmp_path / 'transforms.json', meta)
    with pytest.raises(UserError, match=message):
        captures.read(tmp_path)


def test_lacking_fields_are_told(tmp_path):
    single(tmp_path)
    meta = load(tmp_path / 'transforms.json')
    dump(tmp_path / 'transforms.json', {k: v for k, v in meta.items() if k != 'fl_x'})
    with pytest.raises(UserError, match='it needs fl_x or camera_angle_x'):
        captures.read(tmp_path)
    del meta['frames'][2]['transform_matrix']
    dump(tmp_path / 'transforms.json', meta)
    with pytest.raises(UserError, match=r'frame 2 of .* has no transform_matrix'):
        captures.read(tmp_path)


def test_malformed_files_are_told(tmp_path):
    single(tmp_path)
    whole = (tmp_path / 'transforms.json').read_text()
    (tmp_path / 'transforms.json').write_text(whole[:-20])
    with pytest.raises(UserError, match='cannot be read as JSON'):
        captures.read(tmp_path)


def test_scene_without_training_is_told(tmp_path):
    blender(tmp_path, {'val': 1, 'test': 1})
    with pytest.raises(UserError, match=r'no photograph to train on .found: val, test'):
        captures.read(tmp_path)


def test_nothing_is_overwritten(tmp_path):
    single(tmp_path)
    with pytest.raises(UserError, match=r'already has a transforms.json'):
        captures.blender.write(tmp_path, captures.read(tmp_path))
