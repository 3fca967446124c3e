"""Depth pictures of a sphere fused: against a loop over points, the order of views, the mesh."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import Camera, look_at, pixel_grid, rays
from jaxcv.cameras.view import View
from jaxcv.surfaces import agreed, empty, surface
from jaxcv.surfaces import fused as fuse

SIZE, RADIUS, TRUNCATION = 48, 0.5, 0.12
fused = jax.jit(fuse)


@partial(jax.jit, static_argnums=(0, 1, 2))
def views(count, model='pinhole', size=SIZE):
    """Cameras around a sphere, their depths (0: nothing there) and colors, normals as [0, 1]."""
    angles, heights = jnp.arange(count) * 2.4, jnp.linspace(-0.8, 0.8, count)
    around = jnp.sqrt(1 - heights**2)
    eyes = 2 * jnp.stack([jnp.cos(angles) * around, jnp.sin(angles) * around, heights], -1)
    pose = jax.vmap(look_at, (0, None, None))(eyes, jnp.zeros(3), jnp.float32([0.1, 0.2, 1]))
    focal = {'pinhole': 1.6, 'fisheye': 1.6, 'orthographic': 0.8}[model] * size
    camera = Camera(
        pose,
        jnp.full((count, 2), focal),
        jnp.full((count, 2), size / 2),
        jnp.zeros((count, 0)),
        size,
        size,
        model,
    )
    pixels = jnp.broadcast_to(pixel_grid(size, size).reshape(-1, 2), (count, size * size, 2))
    origins, directions, *_ = rays(camera, pixels)
    along = (origins * directions).sum(-1)
    root = along**2 - (origins**2).sum(-1) + RADIUS**2
    distance = -along - jnp.sqrt(jnp.maximum(root, 0))
    points = origins + distance[..., None] * directions
    depth = jnp.einsum('bj,bnj->bn', pose[:, 2, :3], points) + pose[:, 2, 3:]
    depth = jnp.where(root > 0, depth, 0).reshape(count, size, size)
    return camera, depth, (points / RADIUS / 2 + 0.5).reshape(count, size, size, 3)


def volume(points=24):
    return empty((-0.7, -0.7, -0.7), 1.4 / (points - 1), (points, points, points))


def test_against_a_loop_over_points():
    camera, depth, color = views(3)
    weight = np.random.default_rng(0).uniform(0.5, 2, depth.shape).astype('f')
    start = empty((-0.6, -0.5, -0.7), 0.2, (5, 6, 7))
    found = fused(start, camera, depth, color, TRUNCATION, weight)
    for index in np.ndindex(5, 6, 7):
        point = np.float64([-0.6, -0.5, -0.7]) + 0.2 * np.array(index)
        sums = np.zeros(6)
        for i in range(3):
            pose = np.asarray(camera.pose[i], np.float64)
            x, y, z = pose[:, :3] @ point + pose[:, 3]
            column, row = (int(camera.focal[i, 0] * v / z // 1 + SIZE / 2) for v in (x, y))
            if not (0 <= column < SIZE and 0 <= row < SIZE):
                continue
            d = float(depth[i, row, column]) - z
            if depth[i, row, column] == 0 or d <= -TRUNCATION:
                continue
            w = weight[i, row, column]
            sums[:2] += w, w * min(d, TRUNCATION)
            if d < TRUNCATION:
                sums[2:] += w * np.array([*color[i, row, column], 1])
        if sums[0]:
            np.testing.assert_allclose(found.distances[index], sums[1] / sums[0], atol=1e-5)
        if sums[5]:
            np.testing.assert_allclose(found.colors[index], sums[2:5] / sums[5], atol=1e-5)
        np.testing.assert_allclose(found.weights[index], sums[0], rtol=1e-5)
        np.testing.assert_allclose(found.color_weights[index], sums[5], rtol=1e-5)
    assert (found.weights > 0).mean() > 0.2 and (found.weights == 0).any()


def test_views_one_by_one_and_in_any_order():
    camera, depth, color = views(4)
    at_once = fused(volume(), camera, depth, color, TRUNCATION)
    known = volume()
    for i in (2, 0, 3, 1):
        one = slice(i, i + 1)
        known = fused(known, camera[one], depth[one], color[one], TRUNCATION)
    for a, b in zip(at_once, known, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize('model', ['pinhole', 'fisheye', 'orthographic'])
def test_the_surface_of_a_sphere(model):
    camera, depth, color = views(12, model)
    mesh = surface(fused(volume(), camera, depth, color, TRUNCATION))
    radii = np.linalg.norm(mesh.vertices, axis=1)
    np.testing.assert_allclose(radii.mean(), RADIUS, atol=0.01)
    assert np.abs(radii - RADIUS).max() < 0.04
    expected = mesh.vertices / RADIUS / 2 + 0.5
    assert np.abs(mesh.colors - expected).mean() < 0.03
    assert (mesh.normals * mesh.vertices).sum(1).min() > 0  # outward
    directions = np.random.default_rng(0).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert (directions @ (mesh.vertices / radii[:, None]).T).max(1).min() > 0.95  # all around


def test_pixels_without_depth_and_outside_say_nothing():
    camera, depth, color = views(1)
    for nothing in (0.0, -1.0, np.nan, np.inf):
        found = fused(volume(6), camera, jnp.full_like(depth, nothing), color, TRUNCATION)
        np.testing.assert_array_equal(found.weights, 0)
        np.testing.assert_array_equal(found.distances, 0)
    away = replace(camera, center=camera.center + 10 * SIZE)
    found = fused(volume(6), away, jnp.ones_like(depth), color, TRUNCATION)
    np.testing.assert_array_equal(found.weights, 0)
    behind = replace(camera, pose=camera.pose.at[:, 2, 3].add(-9))
    np.testing.assert_array_equal(
        fused(volume(6), behind, jnp.ones_like(depth), color, TRUNCATION).weights, 0
    )


def test_depths_differentiate():
    """A point's distance moves with the depth of its pixel, unless it is cut."""
    camera, depth, color = views(1, size=8)
    start = empty((0, 0, 0), 1.0, (1, 1, 1))

    @jax.jit
    @jax.grad
    def gradient(depth, at):
        return fused(start._replace(low=at), camera, depth, color, TRUNCATION).distances.sum()

    eye = -camera.pose[0, :, :3].T @ camera.pose[0, :, 3]
    surface_point = eye * RADIUS / 2
    near, far = (gradient(depth, surface_point * (1 + x)) for x in (0.05, 0.6))
    assert sorted(np.unique(near)) == [0, 1] and near.sum() == 1
    np.testing.assert_array_equal(far, 0)


def test_what_views_agree_on():
    """A sphere with its colors; what is hardly opaque, here all around it, has no part in it."""
    camera, depth, color = views(12)
    opacity = jnp.where(depth > 0, 0.9, 0.4)
    mesh = agreed(View(opacity[..., None] * color, opacity, depth), camera, 48)
    away = np.linalg.norm(mesh.vertices, axis=-1) - RADIUS
    assert np.abs(away).max() < 1.5 * 2 / 47 and np.abs(away).mean() < 0.01
    np.testing.assert_allclose(mesh.colors, mesh.vertices / RADIUS / 2 + 0.5, atol=0.1)
