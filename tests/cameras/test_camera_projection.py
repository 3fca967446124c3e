"""Projection and its inverse, for every model of camera and size of lens."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import numpy as jnp
from jax.test_util import check_grads
from views import HEIGHT, LENSES, WIDTH, camera, pixels, points, pose

from jaxcv import cameras
from jaxcv.cameras import pinhole

project, rays, unproject = map(jax.jit, (cameras.project, cameras.rays, cameras.unproject))
inverse, enlargement = jax.jit(cameras.inverse), jax.jit(pinhole.enlargement)


@jax.jit
def there_and_back(camera, pixels):
    """Pixels again, by way of depths and by way of rays, and what is wrong with the depths."""
    seen = cameras.rays(camera, pixels)
    distance = 4 + jnp.cos(pixels[..., 0])
    # A fisheye sees things whose depth is negative.
    depth = distance * (seen.directions * camera.pose[2, :3]).sum(-1)
    found, depth_found = cameras.project(camera, cameras.unproject(camera, pixels, depth))
    on_rays, _ = cameras.project(camera, seen.origins + distance[..., None] * seen.directions)
    return found, on_rays, depth_found - depth


@pytest.mark.parametrize('name', LENSES)
def test_inverse_of_one_another(name):
    grid = cameras.pixel_grid(WIDTH, HEIGHT)[::7, ::7].reshape(-1, 2)
    found, on_rays, error = there_and_back(camera(name), grid)
    # The rational lens is a ratio of differences, which float32 rounds at 1e-6.
    tolerance = 3e-4 if name == 'pinhole8' else 1e-4
    np.testing.assert_allclose(found, grid, atol=tolerance)
    np.testing.assert_allclose(on_rays, grid, atol=tolerance)
    np.testing.assert_allclose(error, 0, atol=2e-6)
    with jax.enable_x64(True):
        found, on_rays, error = there_and_back(camera(name, 1, np.float64), grid)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, grid, atol=1e-9)
        np.testing.assert_allclose(on_rays, grid, atol=1e-9)
        np.testing.assert_allclose(error, 0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), model=st.sampled_from(['pinhole', 'fisheye']))
def test_random_lenses(seed, model):
    """Lenses of up to twice the size of `LENSES`, as far out as each can be inverted."""
    rng = np.random.default_rng(seed)
    scale, reach = {
        'pinhole': ([0.25, 0.1, 0.005, 0.005, 0.05], 1.2),  # tangent
        'fisheye': ([0.1, 0.05, 0.02, 0.005], 1.8),  # angle
    }[model]
    lens, reach = rng.normal(size=len(scale)) * scale, reach * rng.uniform(0.3, 1)
    turn, side = rng.uniform(0, 2 * np.pi, 64), reach * np.sqrt(rng.uniform(0, 1, 64))
    if model == 'fisheye':
        angles = np.linspace(0, 1.1 * reach, 100)
        radii = angles * np.polynomial.Polynomial([1, *lens])(angles**2)
        assume((np.diff(radii) > 0.1 * np.diff(angles)).all())
        side, forward = np.sin(side), np.cos(side)
    else:
        disk = cameras.pixel_grid(33, 33).reshape(-1, 2) / 16.5 - 1
        disk = disk[jnp.square(disk).sum(-1) < 1] * 1.1 * reach
        assume((enlargement(jnp.asarray(lens, jnp.float32), disk) > 0.1).all())
        forward = np.ones(64)
    inside = 2 * np.stack([side * np.cos(turn), side * np.sin(turn), forward], -1)
    one = cameras.make(pose(seed), 128.0, WIDTH, HEIGHT, lens=lens, model=model)
    back = np.asarray(inverse(one.pose))
    world = inside @ back[:, :3].T + back[:, 3]
    seen, _ = project(one, world.astype('f'))
    found, on_rays, _ = there_and_back(one, seen)
    np.testing.assert_allclose(found, seen, atol=3e-4)
    np.testing.assert_allclose(on_rays, seen, atol=3e-4)
    np.testing.assert_allclose(rays(one, seen).directions, _unit(world - back[:, 3]), atol=2e-5)


def _unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize('name', ['pinhole5', 'pinhole8', 'fisheye4', 'orthographic'])
def test_gradients(name):
    """Of all that goes in; on the axis too, where a fisheye's radius is 0."""
    with jax.enable_x64(True):
        one, x = camera(name, 2, np.float64), points(5, dtype=np.float64)
        back = cameras.inverse(one.pose)
        x = x.at[0].set(back[:, 3] + 3 * back[:, 2])
        check_grads(project, (one, x), 1, ('rev',), eps=1e-5, rtol=1e-5)

        def both(camera, pixels):
            seen = cameras.rays(camera, pixels)
            return seen, cameras.unproject(camera, pixels, 2 + jnp.cos(pixels[:, 0] / 50))

        seen = one.center + jnp.array([[0.0, 0], [1, 2], [-60, 50], [20, -70]])
        check_grads(jax.jit(both), (one, seen), 1, ('rev',), eps=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', ['pinhole5', 'fisheye4'])
def test_second_derivatives(name):
    """The derivative of the inverse function has the right derivative itself."""
    with jax.enable_x64(True):
        one, x = camera(name, 2, np.float64), pixels(3, dtype=np.float64)

        def total(lens, x):
            seen = cameras.rays(dataclasses.replace(one, lens=lens), x)
            return jnp.sin(3 * seen.directions).sum()

        slopes = jax.jit(jax.grad(total, (0, 1)))
        check_grads(slopes, (one.lens, x), 1, ('rev',), eps=1e-6, rtol=1e-5)


@pytest.mark.parametrize('name', LENSES)
def test_radii_are_those_of_pixels(name):
    """A disk's variance per axis, r² / 4, is that of the pixel, its area / 12, where the area is
    spanned by the rays of its corners."""
    with jax.enable_x64(True):
        one, x = camera(name, 3, np.float64), pixels(50, dtype=np.float64)
        step = 1e-4

        def seen(dx, dy):
            found = rays(one, x + step * jnp.array([dx, dy]))
            return found.origins + found.directions

        across, down = seen(1, 0) - seen(-1, 0), seen(0, 1) - seen(0, -1)
        area = np.linalg.norm(np.cross(across, down), axis=-1) / (2 * step) ** 2
        np.testing.assert_allclose(rays(one, x).radii ** 2 / 4, area / 12, rtol=1e-6)


def test_a_fisheye_sees_behind_itself():
    one = camera('fisheye4')
    x = one.center + jnp.array([[0.0, 195], [170, -100], [-198, 3]])  # 105 degrees or so
    seen = rays(one, x)
    found, depth = project(one, seen.origins + 2 * seen.directions)
    assert (depth < -0.2).all()
    np.testing.assert_allclose(found, x, atol=2e-4)
    np.testing.assert_allclose(project(one, unproject(one, x, depth))[0], x, atol=5e-4)


@pytest.mark.parametrize('name', LENSES)
def test_points_that_no_pixel_sees(name):
    """At the eye, beside, behind, and straight behind: depth says so, and nothing is NaN."""
    one = camera(name)
    inside = jnp.array(
        [[0, 0, 0], [1, 0, 0], [1e-8, 0, 0], [0, 0, -1], [0, 1e-9, -1], [2, -1, -3], [0, 0, 1e-30]]
        + [[1, 2, 1e-7], [1e3, 0, 1e-3], [1e-20, 0, 1e-20], [1e-3, 1e-3, -1e-9], [0, -1e4, 1]],
        jnp.float32,
    )
    one = dataclasses.replace(one, pose=jnp.eye(3, 4))
    found, depth = project(one, inside)
    np.testing.assert_array_equal(depth, inside[:, 2])
    assert np.isfinite(found).all()

    @jax.jit
    def slopes(camera, points):
        def total(camera, points):
            found, depth = cameras.project(camera, points)
            return jnp.where(depth > 0.5, found.sum(-1), 0).sum()

        return jax.grad(total, (0, 1))(camera, points)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes(one, inside)))
    if one.model == 'pinhole' and not one.lens.size:
        beside = np.abs(found - one.center).max(-1)[np.array([1, 5, 7, 8, 11])]
        assert (beside > 1e3 * WIDTH).all()


@pytest.mark.parametrize('name', ['pinhole4', 'pinhole8', 'fisheye4'])
def test_pixels_that_see_no_point(name):
    """Far outside of what a lens bends anything to, rays stay finite and of unit length."""
    one = camera(name)
    x = one.center + jnp.array([[300.0, 0], [-1e3, 900], [1e5, 1e4], [0, -1e9]])

    def total(camera, pixels):
        return cameras.rays(camera, pixels).directions.sum()

    slopes, seen = jax.jit(jax.grad(total, (0, 1)))(one, x), rays(one, x)
    np.testing.assert_allclose(jnp.linalg.norm(seen.directions, axis=-1), 1, rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((slopes, seen)))


@pytest.mark.parametrize('name', ['pinhole5', 'fisheye4', 'orthographic'])
def test_leading_axes(name):
    ones = [camera(name, seed) for seed in range(6)]
    many = jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(2, 3, *leaves[0].shape), *ones)
    x, where = points(24).reshape(2, 3, 4, 3), pixels(24).reshape(2, 3, 4, 2)
    outputs = project(many, x), rays(many, where), unproject(many, where, x[..., 0] + 3)
    for i, one in enumerate(ones):
        at = i // 3, i % 3
        expected = (
            project(one, x[at]),
            rays(one, where[at]),
            unproject(one, where[at], x[at][:, 0] + 3),
        )
        for a, b in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a[at], b, rtol=1e-5, atol=2e-5)
    mapped, _ = jax.jit(jax.vmap(cameras.project))(many[1], x[1])
    np.testing.assert_allclose(mapped, outputs[0][0][1], rtol=1e-5, atol=2e-5)
    same, _ = project(many, x[1, 2])  # all see the same
    np.testing.assert_allclose(same[1, 2], mapped[2], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize('name', ['pinhole5', 'fisheye4', 'orthographic'])
def test_places_of_points(name):
    """Points anywhere in a pixel fall into it; those behind, beside or at the eye into none."""
    one, random = camera(name), np.random.default_rng(0)
    corners = np.stack([random.integers(0, WIDTH, 50), random.integers(0, HEIGHT, 50)], -1)
    seen = corners + random.uniform(0.01, 0.99, (50, 2))
    seen[:5, 0], seen[5:10, 1] = WIDTH + random.uniform(0.01, 2, 5), -random.uniform(0.01, 2, 5)
    depth = random.uniform(1, 3, 50)
    where = unproject(one, jnp.float32(seen), jnp.float32(depth))
    found = jax.jit(cameras.placed)(one, where)
    inside = np.arange(50) >= 10
    np.testing.assert_array_equal(found.within, inside)
    np.testing.assert_array_equal(found.column, np.where(inside, corners[:, 0], 0))
    np.testing.assert_array_equal(found.row, np.where(inside, corners[:, 1], 0))
    np.testing.assert_allclose(found.depth[inside], depth[inside], rtol=1e-5)

    behind = unproject(one, jnp.float32(seen), -jnp.float32(depth))
    eye = jnp.broadcast_to(cameras.inverse(one.pose)[:, 3], (2, 3))
    assert not jax.jit(cameras.placed)(one, jnp.concatenate([behind, eye])).within.any()
