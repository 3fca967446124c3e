"""Where training begins: distances by brute force, evenly spread points, colors."""

from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import look_at, make
from jaxcv.errors import UserError
from jaxcv.splat import activated, rasterize
from jaxcv.splat.initial import balls, hull, inside, scattered, spacing


def brute(points):
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return np.sort(apart, axis=1)[:, 1:4].mean(1)


def test_spacing_is_the_mean_of_the_three_nearest():
    """Also far from the origin, of clusters and where points coincide."""
    draw = np.random.default_rng(0)
    points = draw.normal(size=(300, 3)) * np.exp(draw.uniform(-6, 1, (300, 1))) + [1e3, 0, 0]
    np.testing.assert_allclose(spacing(points), brute(points), rtol=1e-6)
    points[:5] = points[0]
    found = spacing(points)
    expected = np.maximum(brute(points), 1e-3 * np.median(brute(points)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[0] > 0 and expected[0] > brute(points)[0] == 0


@pytest.mark.parametrize(('count', 'word'), [(0, 'no initial points'), (3, '3 initial points')])
def test_too_few_points(count, word):
    with pytest.raises(UserError, match=word):
        spacing(np.zeros((count, 3)))


def test_scattered_points_are_as_far_apart_as_they_say():
    low, high = np.array([-1, 0, 2.0]), np.array([1, 0.5, 3.0])
    means, apart = scattered(jax.random.split(jax.random.key(0), 8000), low, high)
    assert (means >= low).all() and (means <= high).all()
    np.testing.assert_allclose(means.mean(0), (low + high) / 2, atol=0.02)
    inside = ((means > low + 0.1) & (means < high - 0.1)).all(1)  # where neighbors are all around
    np.testing.assert_allclose(apart, spacing(np.asarray(means))[inside].mean(), rtol=0.02)


def test_balls_are_drawn_in_their_colors():
    color = np.array([[0.9, 0.2, 0.5]])
    gaussians = balls(np.zeros((1, 3)), color, np.array([0.2]), opacity=0.1, degree=2)
    assert gaussians.sh.shape == (1, 9, 3) and (gaussians.sh[:, 1:] == 0).all()
    splats = activated(gaussians)
    np.testing.assert_allclose(splats.scales, 0.2, rtol=1e-6)
    np.testing.assert_allclose(splats.opacities, 0.1, rtol=1e-6)
    pose = look_at(jnp.array([0, -3.0, 0]), jnp.zeros(3), jnp.array([0, 0, 1.0]))
    view = jax.jit(lambda s: rasterize(s, make(pose, 20.0, 17, 17), capacity=64))(splats)
    np.testing.assert_allclose(view.alpha[8, 8], 0.1, rtol=1e-3)
    np.testing.assert_allclose(view.color[8, 8] / view.alpha[8, 8], color[0], rtol=1e-4)


def test_hull():
    """Silhouettes of a disk from six sides; the colors are those of the pixels."""
    from_ = jnp.array([[3.0, 0, 0], [-3, 0, 0], [0, 3, 0], [0, -3, 0], [0, 0, 3], [0, 0, -3]])
    cameras = make(look_at(from_, jnp.zeros(3), jnp.array([0.1, 0.2, 1.0])), 60.0, 64, 64)
    y, x = np.mgrid[:32, :32] + 0.5  # half as large as the cameras say
    images = np.zeros((6, 32, 32, 4), np.uint8)
    images[..., 3] = np.where(np.hypot(x - 16, y - 16) < 5, 255, 0)  # radius .5 in the middle
    images[..., :3] = np.arange(6)[:, None, None, None] * 10
    points = jnp.array([[0, 0, 0], [0.3, 0.1, 0.2], [0.8, 0, 0], [0, 0.1, -0.9], [50, 50, 50.0]])
    opacity, colors = jax.jit(hull)(points, cameras, images)
    np.testing.assert_array_equal(opacity, [1, 1, 0, 0, 0])
    np.testing.assert_allclose(colors[:2], 25 / 255, rtol=1e-5)
    np.testing.assert_allclose(colors[4], 0)  # beside every image, or behind the camera
    # Two of six sides see something at the third and fourth, which is 2/3 of what is enough.
    mostly, _ = jax.jit(partial(hull, through=0.5))(points, cameras, images)
    np.testing.assert_allclose(mostly, [1, 1, 2 / 3, 2 / 3, 0], rtol=1e-5)


def test_inside():
    """Those in a ball, as far apart as a third of them are."""
    points, apart = scattered(jax.random.split(jax.random.key(0), 20_000), -np.ones(3), np.ones(3))
    opaque = (jnp.linalg.norm(points, axis=1) < 0.9).astype(jnp.float32)
    count = int(opaque.sum()) // 3
    found, colors, wider = inside(points, points, opaque, apart, count)
    np.testing.assert_array_equal(found, colors)
    assert found.shape == (count, 3) and (jnp.linalg.norm(found, axis=1) < 0.9).all()
    deep = np.linalg.norm(found, axis=1) < 0.6
    np.testing.assert_allclose(wider, spacing(np.asarray(found))[deep].mean(), rtol=0.03)
    assert inside(points, points, opaque, apart, 19_000)[2] == apart
