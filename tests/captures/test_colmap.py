"""COLMAP's models, text and binary: files written by hand here, and by pycolmap."""

import struct

import jax
import numpy as np
import pytest
from photographs import picture, poses, single

from jaxcv import cameras
from jaxcv.data import captures
from jaxcv.data.captures import colmap
from jaxcv.errors import UserError

CAMERAS = '# one line each\n1 OPENCV 8 6 9.5 9.25 4 3 0.1 0.02 0.001 0.002\n7 PINHOLE 8 6 9 8 4 3\n'
IMAGES = (
    '# two lines each\n\n'
    '5 1 0 0 0 0.5 0.25 2 1 b.png\n1.5 2.5 -1 3 4 12\n'
    '2 0 2 0 0 1 0 4 7 a 1.png\n\n'
    '9 0.5 0.5 0.5 0.5 0 0 1 7 c.png\n\n'
)
POINTS = '12 1 2 3 255 128 0 0.5 5 1 2 0\n3 -1 0.5 1e-3 1 2 3 0.1\n'


@pytest.fixture
def handmade(tmp_path):
    (tmp_path / 'sparse/0').mkdir(parents=True)
    texts = {'cameras': CAMERAS, 'images': IMAGES, 'points3D': POINTS}
    for name, text in texts.items():
        (tmp_path / f'sparse/0/{name}.txt').write_text(text)
    for name in ('a 1.png', 'b.png', 'c.png'):
        picture(tmp_path / 'images' / name, (8, 6))
    return tmp_path


def test_text_by_hand(handmade):
    capture = captures.read(handmade)
    assert [file.name for file in capture.images] == ['a 1.png', 'b.png', 'c.png']
    np.testing.assert_array_equal(capture.cameras.focal, [[9, 8], [9.5, 9.25], [9, 8]])
    lens = [[0, 0, 0, 0], [0.1, 0.02, 0.001, 0.002], [0, 0, 0, 0]]
    np.testing.assert_array_equal(capture.cameras.lens, lens)
    half_turn = np.diag([1, -1, -1])
    cycle = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    rotation = np.stack([half_turn, np.eye(3), cycle])
    np.testing.assert_allclose(capture.cameras.pose[:, :, :3], rotation, atol=1e-15)
    np.testing.assert_array_equal(
        capture.cameras.pose[:, :, 3], [[1, 0, 4], [0.5, 0.25, 2], [0, 0, 1]]
    )
    np.testing.assert_array_equal(capture.points.xyz, [[-1, 0.5, 1e-3], [1, 2, 3]])
    np.testing.assert_array_equal(capture.points.rgb, [[1, 2, 3], [255, 128, 0]])
    assert {name: index.tolist() for name, index in capture.splits.items()} == {
        'train': [1, 2],
        'test': [0],
    }


@pytest.mark.parametrize('binary', [True, False])
def test_there_and_back(handmade, tmp_path_factory, binary):
    capture = captures.read(handmade)
    other = tmp_path_factory.mktemp('again')
    (other / 'images').symlink_to(handmade / 'images')
    colmap.write(other, capture, binary=binary)
    again = captures.read(other)
    agree(again, capture)
    np.testing.assert_allclose(again.cameras.pose, capture.cameras.pose, atol=1e-15)
    with pytest.raises(UserError, match='already has a model'):
        colmap.write(other, capture, binary=binary)


def agree(capture, other):
    """All but rotations, whose quaternions round."""
    for name in ('focal', 'center', 'lens'):
        np.testing.assert_array_equal(getattr(capture.cameras, name), getattr(other.cameras, name))
    np.testing.assert_array_equal(capture.cameras.pose[..., 3], other.cameras.pose[..., 3])
    np.testing.assert_array_equal(capture.points.xyz, other.points.xyz)
    np.testing.assert_array_equal(capture.points.rgb, other.points.rgb)


def test_quaternions_of_all_rotations():
    rotation = poses(500)[:, :3, :3]
    half_turns = np.array([np.diag(x) for x in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1])])
    rotation = np.concatenate([rotation, half_turns])
    quaternion = colmap.quaternions(rotation)
    assert (quaternion[:, 0] >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(quaternion, axis=1), 1, atol=1e-15)
    np.testing.assert_allclose(colmap.rotations(quaternion), rotation, atol=3e-15)
    np.testing.assert_allclose(colmap.rotations(-3 * quaternion), rotation, atol=3e-15)


def test_smaller_images_by_name_and_by_order(handmade):
    for name in ('a 1.png', 'b.png', 'c.png'):
        picture(handmade / 'images_2' / name, (4, 3))
    capture = captures.read(handmade, downscale=2)
    assert [file.parent.name for file in capture.images] == ['images_2'] * 3
    np.testing.assert_array_equal(capture.cameras.focal[0], [4.5, 4])
    for i in range(3):
        picture(handmade / f'images_4/image{i:03}.png', (2, 1), seed=i)
    capture = captures.read(handmade, downscale=4)
    assert [file.name for file in capture.images] == [f'image{i:03}.png' for i in range(3)]
    np.testing.assert_array_equal(capture.cameras.focal[0], [9 / 4, 8 / 6])
    with pytest.raises(UserError, match=r'3 of 3 images are missing, first .*images_8/a 1.png'):
        captures.read(handmade, downscale=8)


def test_images_in_folders_of_their_own(handmade):
    images = handmade / 'sparse/0/images.txt'
    images.write_text(images.read_text().replace('b.png', 'left/b.png'))
    picture(handmade / 'images/left/b.png', (8, 6))
    for name in ('a 1.png', 'left/b.png', 'c.png'):
        picture(handmade / 'images_2' / name, (4, 3))
    capture = captures.read(handmade, downscale=2)
    assert capture.images[2] == handmade / 'images_2/left/b.png'


@pytest.mark.parametrize(
    'file,old,new,message',
    [
        ('cameras', '7 PINHOLE', '7 FOV', 'camera 7 of .* is of model FOV, but only'),
        ('cameras', '9 8 4 3', '9 8 4', 'cameras.txt .* entry 2 .*parameters of PINHOLE are fx fy'),
        ('cameras', '7 PINHOLE', '8 PINHOLE', 'a 1.png is by camera 7, which is not there'),
        ('cameras', '8 6 9 8', '80 6 9 8', 'a 1.png is 8x6, but its camera is of 80x6'),
        ('cameras', '7 PINHOLE 8 6 9 8 4 3', '7 SIMPLE_FISHEYE 8 6 9 4 3', 'must be of one model'),
        ('images', '1 7 c.png', '1 c.png', 'images.txt is damaged .* entry 3'),
        ('images', '0.5 0.5 0.5 0.5', 'nan 0 0 0', 'of .*c.png, is not finite'),
        ('images', '0.5 0.5 0.5 0.5', '0 0 0 0', 'of .*c.png, is not finite'),
        ('images', 'c.png', 'd.png', '1 of 3 images are missing, first .*d.png'),
        ('points3D', '12 1 2 3 255 128 0', '12 1 2 3 255', 'points3D.txt is damaged .* entry 1'),
    ],
)
def test_damage_in_text_is_told(handmade, file, old, new, message):
    path = handmade / f'sparse/0/{file}.txt'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        captures.read(handmade)


@pytest.mark.parametrize('name', ['cameras', 'images', 'points3D'])
@pytest.mark.parametrize('cut', [0, 7, 30, -1])
def test_cut_off_binary_files_are_told(handmade, tmp_path_factory, name, cut):
    other = tmp_path_factory.mktemp('cut')
    (other / 'images').symlink_to(handmade / 'images')
    colmap.write(other, captures.read(handmade))
    path = other / f'sparse/0/{name}.bin'
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=f'{name}.bin is damaged or cut off at entry'):
        captures.read(other)


@pytest.mark.parametrize('name', ['images', 'points3D'])
def test_entries_longer_or_shorter_than_their_file_are_told(handmade, tmp_path_factory, name):
    other = tmp_path_factory.mktemp('longer')
    (other / 'images').symlink_to(handmade / 'images')
    colmap.write(other, captures.read(handmade))
    path = other / f'sparse/0/{name}.bin'
    whole = path.read_bytes()
    # The last entry counts its features, or its sights, of which none follow; or one too many.
    for content in (whole[:-8] + struct.pack('<Q', 2), whole + bytes(24)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f'{name}.bin is damaged or cut off .* were declared'):
            captures.read(other)


def test_unknown_model_in_binary_is_told(handmade, tmp_path_factory):
    other = tmp_path_factory.mktemp('unknown')
    (other / 'images').symlink_to(handmade / 'images')
    colmap.write(other, captures.read(handmade))
    path = other / 'sparse/0/cameras.bin'
    content = bytearray(path.read_bytes())
    struct.pack_into('<i', content, 12, 17)
    path.write_bytes(content)
    with pytest.raises(UserError, match='is of model 17, but only SIMPLE_PINHOLE, PINHOLE'):
        captures.read(other)


def test_images_elsewhere_cannot_be_written(tmp_path):
    single(tmp_path / 'here')
    with pytest.raises(UserError, match=r'COLMAP names images from .*10 of 10 are not there'):
        colmap.write(tmp_path / 'there', captures.read(tmp_path / 'here'))


# pycolmap 4.2.0

MODELS = {
    'SIMPLE_PINHOLE': [70.0, 31.0, 25.0],
    'PINHOLE': [70.0, 75.0, 31.0, 25.0],
    'SIMPLE_RADIAL': [70.0, 31.0, 25.0, 0.05],
    'RADIAL': [70.0, 31.0, 25.0, 0.05, -0.01],
    'OPENCV': [70.0, 75.0, 31.0, 25.0, 0.05, -0.01, 0.002, -0.003],
    'FULL_OPENCV': [70.0, 75.0, 31.0, 25.0, 0.05, -0.01, 0.002, -0.003, 0.01, 0.02, 0.01, 0.03],
    'OPENCV_FISHEYE': [40.0, 45.0, 31.0, 25.0, 0.05, -0.01, 0.002, -0.003],
    'SIMPLE_RADIAL_FISHEYE': [40.0, 31.0, 25.0, 0.05],
    'RADIAL_FISHEYE': [40.0, 31.0, 25.0, 0.05, -0.01],
    'SIMPLE_FISHEYE': [40.0, 31.0, 25.0],
    'FISHEYE': [40.0, 45.0, 31.0, 25.0],
}


def synthesized(folder, model='OPENCV', binary=True, old=False):
    """A model of two rigs of two cameras by pycolmap, its files and photographs."""
    import pycolmap

    pycolmap.set_random_seed(0)
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 2, 2, 3
    options.num_points3D, options.camera_width, options.camera_height = 40, 64, 48
    options.camera_model_id = pycolmap.CameraModelId.__members__[model]
    options.camera_params = MODELS[model]
    made = pycolmap.synthesize_dataset(options)
    rng = np.random.default_rng(0)
    for point in made.points3D.values():
        point.color = rng.integers(0, 256, 3, np.uint8)
    target = folder / 'sparse/0'
    target.mkdir(parents=True)
    (made.write_binary if binary else made.write_text)(target)
    suffix = 'bin' if binary else 'txt'
    for name in ('rigs', 'frames'):
        assert (target / f'{name}.{suffix}').is_file()
        if old:
            (target / f'{name}.{suffix}').unlink()
    for image in made.images.values():
        picture(folder / 'images' / image.name, (64, 48))
    return made


def equal(capture, made):
    """Asserts that a capture has the poses, cameras and points of pycolmap's model."""
    images = {image.name: image for image in made.images.values()}
    assert [file.name for file in capture.images] == sorted(images)
    for file, pose, focal, center in zip(
        capture.images, capture.cameras.pose, capture.cameras.focal, capture.cameras.center,
        strict=True,
    ):  # fmt: skip
        image = images[file.name]
        np.testing.assert_allclose(pose, image.cam_from_world().matrix(), atol=1e-14)
        camera = made.cameras[image.camera_id]
        np.testing.assert_array_equal(focal, [camera.focal_length_x, camera.focal_length_y])
        np.testing.assert_array_equal(center, [camera.principal_point_x, camera.principal_point_y])
    points = [made.points3D[number] for number in sorted(made.points3D)]
    np.testing.assert_array_equal(capture.points.xyz, [point.xyz for point in points])
    np.testing.assert_array_equal(capture.points.rgb, [point.color for point in points])


@pytest.mark.oracles
@pytest.mark.parametrize('binary', [True, False])
@pytest.mark.parametrize('old', [True, False])
def test_models_that_pycolmap_wrote(tmp_path, binary, old):
    made = synthesized(tmp_path, binary=binary, old=old)
    equal(captures.read(tmp_path), made)


@pytest.mark.oracles
@pytest.mark.parametrize('model', MODELS)
def test_features_lie_where_pycolmap_saw_them(tmp_path, model):
    made = synthesized(tmp_path, model)
    capture = captures.read(tmp_path)
    equal(capture, made)
    camera = jax.tree.map(lambda x: x.astype(np.float32), capture.cameras)
    pixels = np.asarray(jax.jit(cameras.project)(camera, np.stack([capture.points.xyz] * 12))[0])
    rows = {number: row for row, number in enumerate(sorted(made.points3D))}
    images = sorted(made.images.values(), key=lambda image: image.name)
    count = 0
    for image, found in zip(images, pixels, strict=True):
        for feature in image.get_observation_points2D():
            place = found[rows[feature.point3D_id]]
            np.testing.assert_allclose(place, feature.xy, atol=2e-3)
            count += 1
    assert count > 100


@pytest.mark.oracles
@pytest.mark.parametrize('binary', [True, False])
@pytest.mark.parametrize('model', ['PINHOLE', 'OPENCV', 'FULL_OPENCV', 'OPENCV_FISHEYE'])
def test_pycolmap_reads_what_is_written(tmp_path, binary, model):
    import pycolmap

    synthesized(tmp_path / 'one', model)
    capture = captures.read(tmp_path / 'one')
    (tmp_path / 'two').mkdir()
    (tmp_path / 'two/images').symlink_to(tmp_path / 'one/images')
    colmap.write(tmp_path / 'two', capture, binary=binary)
    made = pycolmap.Reconstruction(tmp_path / 'two/sparse/0')
    equal(capture, made)
    assert len(made.cameras) == 1
    (camera,) = made.cameras.values()
    assert camera.model_name == model
    np.testing.assert_array_equal(camera.params, MODELS[model])
