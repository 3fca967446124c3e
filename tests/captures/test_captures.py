"""Captures of any format: finding it, pixels of a split, moved worlds, pictures of all kinds."""

from dataclasses import replace

import numpy as np
import pytest
from photographs import blender, picture, poses, seen, single
from PIL import Image

from jaxcv.data import captures
from jaxcv.data.captures import pictures
from jaxcv.errors import UserError


def test_a_folder_without_a_capture_is_told(tmp_path):
    with pytest.raises(UserError, match=r'has neither transforms.json, .* it holds nothing'):
        captures.read(tmp_path)
    picture(tmp_path / 'a.png')
    with pytest.raises(UserError, match=r'it holds a.png'):
        captures.read(tmp_path)
    with pytest.raises(UserError, match='there is no folder'):
        captures.read(tmp_path / 'nowhere')
    with pytest.raises(UserError, match='downscale is 0'):
        captures.read(tmp_path, downscale=0)


def test_frames_of_a_split(tmp_path):
    scene = blender(tmp_path, {'train': 5, 'test': 3})
    capture = captures.read(tmp_path)
    for split, (_, pixels) in scene.items():
        frames = captures.frames(capture, split)
        np.testing.assert_array_equal(frames.images, pixels)
        assert frames.images.dtype == np.uint8
        assert frames.cameras.pose.dtype == np.float32
        index = capture.splits[split]
        np.testing.assert_allclose(frames.cameras.pose, capture.cameras.pose[index], rtol=1e-6)
        assert frames.masks is frames.depths is frames.times is frames.near is None
    two = captures.frames(capture, 'train', 2)
    np.testing.assert_array_equal(two.images, [scene['train'][1][i] for i in (1, 3)])
    assert two.cameras.pose.shape == (2, 3, 4)
    with pytest.raises(UserError, match="the split of a capture is 'val', but must be one of"):
        captures.frames(capture, 'val')


def test_one_transparent_photograph_gives_all_an_opacity(tmp_path):
    single(tmp_path)
    pixels = picture(tmp_path / 'images/03.png', (8, 6), 4)
    images = captures.frames(captures.read(tmp_path), 'train').images
    assert images.shape == (8, 6, 8, 4)
    np.testing.assert_array_equal(images[2], pixels)
    assert (images[[0, 1, 3, 4, 5, 6, 7], ..., 3] == 255).all()


def test_frames_of_different_sizes_are_told(tmp_path):
    single(tmp_path)
    picture(tmp_path / 'images/03.png', (8, 7))
    with pytest.raises(UserError, match=r'one size, but .*00.png is 8x6 and .*03.png is 8x7'):
        captures.read(tmp_path)


def test_missing_images_are_counted(tmp_path):
    single(tmp_path)
    for i in (4, 7):
        (tmp_path / f'images/{i:02}.png').unlink()
    with pytest.raises(UserError, match=r'2 of 10 images are missing, first .*04.png'):
        captures.read(tmp_path)


def test_broken_images_are_named(tmp_path):
    single(tmp_path)
    file = tmp_path / 'images/03.png'
    whole = file.read_bytes()
    file.write_bytes(whole[:10])
    with pytest.raises(UserError, match=r'03.png is not a readable picture'):
        captures.read(tmp_path)
    file.write_bytes(whole)
    capture = captures.read(tmp_path)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r'03.png is not a readable picture'):
        captures.frames(capture, 'train')
    picture(file, (3, 2))
    with pytest.raises(UserError, match=r'03.png is 3x2, but was 8x6 before'):
        captures.frames(capture, 'train')


def test_moved_world(tmp_path):
    """Cameras see the same at the same pixels, at scaled depths."""
    place = single(tmp_path)
    points = np.random.default_rng(0).normal(size=(6, 3))
    sparse = captures.Points(points, np.zeros((6, 3), np.uint8))
    capture = replace(captures.read(tmp_path), points=sparse, near=np.ones(10))
    transform = poses(1, seed=5)[0]
    transform[:3, :3] *= 2.5
    there = captures.moved(capture, transform)
    np.testing.assert_allclose(there.points.xyz, points @ transform[:3, :3].T + transform[:3, 3])
    for pose, camera in zip(place, there.cameras.pose, strict=True):
        found = there.points.xyz @ camera[:, :3].T + camera[:, 3]
        np.testing.assert_allclose(found, 2.5 * seen(pose, points), atol=1e-11)
    np.testing.assert_allclose(there.near, 2.5)
    np.testing.assert_allclose(there.depth_unit, 2.5e-3)
    np.testing.assert_array_equal(there.transform, transform)
    twice = captures.moved(there, transform)
    np.testing.assert_allclose(twice.transform, transform @ transform)
    rotation = twice.cameras.pose[:, :, :3]
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(1, 2), np.stack([np.eye(3)] * 10), atol=1e-12
    )


@pytest.mark.parametrize('wrong', [np.diag([1, 2, 1, 1]), np.diag([1, 1, -1, 1]), 2 * np.eye(4)])
def test_worlds_are_moved_by_similarities_only(tmp_path, wrong):
    single(tmp_path)
    with pytest.raises(UserError, match='must be a rotation, a shift and a positive scale'):
        captures.moved(captures.read(tmp_path), wrong)


@pytest.mark.parametrize('mode,channels', [('L', 3), ('1', 3), ('LA', 4), ('P', 3), ('CMYK', 3)])
def test_pictures_of_all_modes_become_rgb(tmp_path, mode, channels):
    file = tmp_path / ('a.jpg' if mode == 'CMYK' else 'a.png')
    Image.new('RGB', (5, 4), (255, 255, 255)).convert(mode).save(file)
    size, transparent = pictures.inspect([file])
    assert (size, transparent) == ((5, 4), channels == 4)
    image = pictures.image(file, size, channels)
    assert image.shape == (4, 5, channels)
    assert image.min() >= 250


def test_deep_pictures_are_no_photographs_but_depths(tmp_path):
    values = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    Image.fromarray(values).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(pictures.depth(tmp_path / 'a.png', (5, 4)), values)
    with pytest.raises(UserError, match='pixels of more than 8 bits'):
        pictures.image(tmp_path / 'a.png', (5, 4), 3)
    np.save(tmp_path / 'a.npy', values / 7)
    assert pictures.inspect([tmp_path / 'a.npy']) == ((5, 4), False)
    found = pictures.depth(tmp_path / 'a.npy', (5, 4))
    np.testing.assert_array_equal(found, (values / 7).astype('f'))
    picture(tmp_path / 'rgb.png', (5, 4))
    with pytest.raises(UserError, match='has 3 channels, but a depth has one'):
        pictures.depth(tmp_path / 'rgb.png', (5, 4))
    np.save(tmp_path / 'a.npy', values[None])
    with pytest.raises(UserError, match=r'but a depth is .height width.'):
        pictures.inspect([tmp_path / 'a.npy'])
