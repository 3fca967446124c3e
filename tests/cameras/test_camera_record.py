"""The record: how cameras are made, selected, moved, resized and cropped."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from views import HEIGHT, LENSES, WIDTH, camera, points, pose

from jaxcv import cameras
from jaxcv.errors import UserError

project = jax.jit(cameras.project)


def test_made_with_what_is_common():
    poses = jnp.stack([pose(0), pose(1)])
    many = cameras.make(poses, 50, 64, 48, lens=[0.1, 0, 0, 0])
    assert jax.tree.map(jnp.shape, many) == cameras.Camera(
        (2, 3, 4), (2, 2), (2, 2), (2, 4), 64, 48
    )
    np.testing.assert_array_equal(many.focal, 50)
    np.testing.assert_array_equal(many.center, [[32, 24]] * 2)
    np.testing.assert_array_equal(many[1].pose, pose(1))
    assert many[1].width == 64 and many[:1].pose.shape == (1, 3, 4)
    assert many.pose.dtype == np.float32
    assert len(many) == 2 and [one.lens.shape for one in many] == [(4,), (4,)]
    with jax.enable_x64(True):
        assert cameras.make(np.eye(3, 4), 50, 64, 48).lens.dtype == np.float64
        assert cameras.make(np.eye(3, 4, dtype='f'), 50, 64, 48).focal.dtype == np.float32


def test_mistakes():
    with pytest.raises(UserError, match="'fisheye'"):
        cameras.make(pose(0), 50, 64, 48, model='fishey')
    for model, size in (('pinhole', 7), ('pinhole', 2), ('fisheye', 5), ('orthographic', 4)):
        with pytest.raises(UserError, match=f'{model} camera has {size} coefficients'):
            cameras.make(pose(0), 50, 64, 48, lens=np.zeros(size), model=model)
    with pytest.raises(UserError, match='0x0'):
        cameras.scaled(camera('pinhole0'), 1e-3)
    with pytest.raises(UserError, match='camera'):
        list(camera('pinhole0'))
    with pytest.raises(UserError, match='5x0'):
        cameras.cropped(camera('pinhole0'), 0, 0, 5, 0)


def test_pixel_grid():
    grid = cameras.pixel_grid(3, 2)
    np.testing.assert_array_equal(grid[0], [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5]])
    np.testing.assert_array_equal(grid[1, 2], [2.5, 1.5])
    assert grid.shape == (2, 3, 2) and grid.dtype == np.float32


def test_focal_length():
    """The edges of the image are half the angle from the axis."""
    focal = cameras.focal_length(1.2, 100)
    one = cameras.make(jnp.eye(3, 4), focal, 100, 100)
    edge = jnp.array([[np.tan(0.6), 0, 1]], jnp.float32) * 3
    np.testing.assert_allclose(project(one, edge)[0], [[100, 50]], rtol=1e-6)


@pytest.mark.parametrize('name', LENSES)
def test_resized_and_cropped(name):
    one, x = camera(name), points(9)
    before = np.array(project(one, x)[0])
    half = cameras.scaled(one, 0.5)
    assert (half.width, half.height) == (WIDTH // 2, HEIGHT // 2)
    np.testing.assert_allclose(project(half, x)[0], before / 2, atol=1e-4)
    uneven = cameras.scaled(one, 0.33)  # 84.48 x 66 pixels
    assert (uneven.width, uneven.height) == (84, 66)
    np.testing.assert_allclose(project(uneven, x)[0], before * [84 / 256, 0.33], atol=1e-4)
    part = cameras.cropped(one, 10, -20, 30, 40)
    assert (part.width, part.height) == (30, 40)
    np.testing.assert_allclose(project(part, x)[0], before - [10, -20], atol=1e-4)


def test_refined():
    """What the camera sees moves by the twist, in the coordinates of the camera."""
    one, x = camera('pinhole5'), points(9)
    inside = cameras.transformed(one.pose, x)
    moved = cameras.refined(one, jnp.array([0, 0, 0, 0.1, -0.2, 0.3]))
    expected = np.add(inside, [0.1, -0.2, 0.3])
    np.testing.assert_allclose(cameras.transformed(moved.pose, x), expected, atol=2e-6)
    turned = cameras.refined(one, jnp.array([0, 0, jnp.pi / 2, 0, 0, 0]))  # x to y
    expected = np.stack([-inside[:, 1], inside[:, 0], inside[:, 2]], -1)
    np.testing.assert_allclose(cameras.transformed(turned.pose, x), expected, atol=2e-6)


def test_a_pose_is_found_by_refinement():
    """Gauss-Newton over twists at 0 finds the pose that the pixels came from, which needs right
    gradients at the identity."""
    true, x = camera('pinhole5'), points(20)
    seen = project(true, x)[0]
    one = cameras.refined(true, jnp.array([0.1, -0.05, 0.2, 0.3, -0.1, 0.2]))
    # The optics too: an unknown focal length.
    one = dataclasses.replace(one, focal=one.focal * 1.1)

    @jax.jit
    def step(camera):
        def error(change):
            moved = cameras.refined(camera, change[:6])
            moved = dataclasses.replace(moved, focal=moved.focal * (1 + change[6:]))
            return (cameras.project(moved, x)[0] - seen).reshape(-1), moved

        slope, _ = jax.jacfwd(error, has_aux=True)(jnp.zeros(8))
        residual, _ = error(jnp.zeros(8))
        normal = jnp.matmul(slope.T, slope, precision='highest')
        change = -jnp.linalg.solve(normal, jnp.matmul(slope.T, residual, precision='highest'))
        return error(change)[1]

    for _ in range(8):
        one = step(one)
    np.testing.assert_allclose(one.pose, true.pose, atol=1e-4)
    np.testing.assert_allclose(one.focal, true.focal, rtol=1e-4)
