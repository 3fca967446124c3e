"""LLFF's poses_bounds.npy, and normalized device coordinates."""

import jax
import numpy as np
import pytest
from photographs import picture, poses, same

from jaxcv import cameras
from jaxcv.data import captures
from jaxcv.data.captures import llff
from jaxcv.errors import UserError

ndc = jax.jit(captures.ndc, static_argnames=('width', 'height', 'near'))


def forward(folder, count=9, size=(8, 6), stated=(16, 12), seed=0):
    """Cameras that look the same way but for a little; camera to world with OpenCV's axes."""
    rng = np.random.default_rng(seed)
    place = poses(count, seed)
    for pose in place:
        slight = np.eye(3) + 0.1 * rng.normal(size=(3, 3))
        left, _, right = np.linalg.svd(slight)
        pose[:3, :3] = place[0, :3, :3] @ left @ right
    down, right, back = place[:, :3, 1], place[:, :3, 0], -place[:, :3, 2]
    last = np.broadcast_to([*stated[::-1], 20.0], (count, 3))
    matrix = np.stack([down, right, back, place[:, :3, 3], last], axis=2)
    near = rng.uniform(2, 3, count)
    rows = np.concatenate([matrix.reshape(count, 15), near[:, None], 10 + near[:, None]], axis=1)
    folder.mkdir(exist_ok=True)
    np.save(folder / 'poses_bounds.npy', rows)
    for i in range(count):
        picture(folder / f'images/{i:02}.jpg', size, 3, i)
    return place, near


def test_what_cameras_see_is_the_same_but_for_scale(tmp_path):
    place, near = forward(tmp_path)
    capture = captures.read(tmp_path)
    scale = 1 / (0.75 * near.min())
    points = np.random.default_rng(1).normal(size=(5, 3))
    there = points @ capture.transform[:3, :3].T + capture.transform[:3, 3]
    for pose, camera in zip(place, capture.cameras.pose, strict=True):
        found = there @ camera[:, :3].T + camera[:, 3]
        expected = scale * (points - pose[:3, 3]) @ pose[:3, :3]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(capture.near, scale * near, rtol=1e-12)
    np.testing.assert_allclose(capture.far, scale * (10 + near), rtol=1e-12)
    np.testing.assert_allclose(capture.near.min(), 4 / 3, rtol=1e-12)
    np.testing.assert_array_equal(capture.cameras.focal, [[10, 10]] * 9)
    np.testing.assert_array_equal(capture.cameras.center, [[4, 3]] * 9)
    assert capture.splits['test'].tolist() == [0, 8]


def test_the_average_camera_stands_at_the_origin_and_looks_back_along_z(tmp_path):
    forward(tmp_path)
    pose = captures.read(tmp_path).cameras.pose
    rotation = pose[:, :, :3].swapaxes(1, 2)
    centers = -(rotation @ pose[:, :, 3:])[..., 0]
    np.testing.assert_allclose(centers.mean(0), 0, atol=1e-12)
    forward_axis, down = rotation[:, :, 2].mean(0), rotation[:, :, 1].mean(0)
    np.testing.assert_allclose(forward_axis[:2], 0, atol=1e-12)
    assert forward_axis[2] < -0.9
    assert abs(down[0]) < 1e-12
    assert down[1] < -0.9


def test_the_transform_gives_the_poses_of_the_file_back(tmp_path):
    place, _ = forward(tmp_path)
    capture = captures.read(tmp_path)
    back = captures.moved(capture, np.linalg.inv(capture.transform))
    np.testing.assert_allclose(back.transform, np.eye(4), atol=1e-12)
    expected = np.linalg.inv(place)[:, :3]
    np.testing.assert_allclose(back.cameras.pose, expected, atol=1e-12)


def test_written_as_transforms_it_is_the_same(tmp_path):
    forward(tmp_path)
    captures.blender.write(tmp_path / 'one', captures.read(tmp_path))
    capture = captures.read(tmp_path / 'one')
    np.testing.assert_allclose(
        capture.cameras.pose, captures.read(tmp_path).cameras.pose, atol=1e-12
    )
    captures.blender.write(tmp_path / 'two', capture)
    same(capture, captures.read(tmp_path / 'two'))


def test_smaller_images_without_the_large_ones(tmp_path):
    forward(tmp_path)
    (tmp_path / 'images').rename(tmp_path / 'images_4')
    capture = captures.read(tmp_path, downscale=4)
    assert capture.images[0] == tmp_path / 'images_4/00.jpg'


@pytest.mark.parametrize(
    'spoil,message',
    [
        (lambda rows: rows[:5], 'has 5 poses, but .*images has 9 images'),
        (lambda rows: rows[:, :15], 'must be .n 17.'),
        (lambda rows: np.where(np.arange(17) == 15, -rows, rows), 'bounds of depth'),
        (lambda rows: np.where(np.arange(17) == 3, np.inf, rows), '00.jpg, is not finite'),
        (lambda rows: np.where(np.arange(17) == 0, 3 * rows, rows), 'is not a rotation'),
    ],
)
def test_damage_is_told(tmp_path, spoil, message):
    forward(tmp_path)
    file = tmp_path / llff.FILE
    np.save(file, spoil(np.load(file)))
    with pytest.raises(UserError, match=message):
        captures.read(tmp_path)


def test_cut_off_file_is_told(tmp_path):
    forward(tmp_path)
    file = tmp_path / llff.FILE
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match='is not a readable array'):
        captures.read(tmp_path)


# Normalized device coordinates


def test_points_of_rays_are_points_of_the_projected_rays():
    """OpenGL's frustum with the far plane at infinity takes (x, y, z) to the same line."""
    rng = np.random.default_rng(0)
    width, height, near = 40, 30, 1.3
    focal = np.array([35.0, 33.0])
    origins = rng.uniform([-0.3, -0.3, -0.5], [0.3, 0.3, 0.5], (20, 3))
    directions = rng.normal([0, 0, -2], 0.3, (20, 3))
    start, change = ndc(
        origins.astype('f'), directions.astype('f'), focal.astype('f'), width, height, near
    )
    frustum = np.array(
        [
            [2 * focal[0] / width, 0, 0, 0],
            [0, 2 * focal[1] / height, 0, 0],
            [0, 0, -1, -2 * near],
            [0, 0, -1, 0],
        ]
    )
    shifted = origins - (near + origins[:, 2:]) / directions[:, 2:] * directions
    for t in (0.0, 0.3, 2.0, 50.0):
        point = shifted + t * directions
        projected = np.append(point, np.ones((20, 1)), axis=1) @ frustum.T
        share = 1 - shifted[:, 2] / point[:, 2]
        np.testing.assert_allclose(
            start + share[:, None] * change, projected[:, :3] / projected[:, 3:], atol=2e-5
        )
    np.testing.assert_allclose(start[:, 2], -1, atol=1e-6)
    np.testing.assert_allclose(start[:, 2] + change[:, 2], 1, atol=1e-6)


def test_pixels_of_the_central_camera_span_the_cube():
    """A camera at the origin sees its corners at the corners of [-1, 1]², y up."""
    pose = np.float32([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0]])
    camera = cameras.make(pose, (35.0, 33.0), 40, 30)
    corners = np.float32([[0, 0], [40, 0], [0, 30], [40, 30]])
    rays = jax.jit(cameras.rays)(camera, corners)
    start, change = ndc(rays.origins - 1e-6, rays.directions, np.float32([35, 33]), 40, 30)
    np.testing.assert_allclose(start[:, :2], [[-1, 1], [1, 1], [-1, -1], [1, -1]], atol=1e-4)
    np.testing.assert_allclose(change[:, :2], 0, atol=1e-4)
