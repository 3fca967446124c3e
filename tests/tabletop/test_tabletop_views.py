from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import pixel_grid, project, rays, unproject
from jaxcv.data.tabletop import (
    LIGHT,
    assembled,
    desk,
    distance,
    fibonacci,
    material,
    normals,
    orbit,
    placed,
    render,
    scattered,
    scene,
    solid,
    trace,
)
from jaxcv.data.tabletop.chunks import by_chunks
from jaxcv.data.tabletop.light import shade, soft_shadow
from jaxcv.data.tabletop.rendering import SAMPLES
from jaxcv.data.tabletop.tracing import NEAR
from jaxcv.data.tabletop.views import DISTANCE, FOCAL, HEIGHTS

SIZE = 32
MATTE = material('#c04020', specular=0.0)
distance, normals, trace = jax.jit(distance), jax.jit(normals), jax.jit(trace)
shade, soft_shadow = jax.jit(shade), jax.jit(soft_shadow)
render = partial(render, chunk=256)


def alone(body, center=(0, 0, 0)):
    """As many objects as `table` has: one program renders both."""
    return assembled([placed(body, MATTE, center)], 2)


def table(specular=0.0):
    """A ball above a disc whose upper side is at z = -0.4."""
    look = material('#40a060', specular=specular)
    ball = placed(solid.sphere(0.25), look, (0, 0, 0.1))
    return assembled([ball, placed(solid.cylinder(0.9, 0.05), look, (0, 0, -0.45))])


def assert_on_surface(world, points):
    """Within NEAR, and to rounding but for the few that graze it."""
    off = np.abs(distance(world, points))
    assert off.max() <= NEAR
    assert np.quantile(off, 0.95) < 3e-6


def at_random(count=600):
    """Rays from around toward the middle."""
    rng = np.random.default_rng(0)
    eye, target = rng.normal(size=(count, 3)), rng.uniform(-0.5, 0.5, (count, 3))
    eye *= 3 / np.linalg.norm(eye, axis=-1, keepdims=True)
    way = target - eye
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    return eye.astype(np.float32), way.astype(np.float32)


def test_rays_meet_a_sphere_where_the_formula_says():
    eye, way = at_random()
    hit = trace(alone(solid.sphere(0.4)), eye, way)
    eye, way = eye.astype(np.float64), way.astype(np.float64)
    middle = -(eye * way).sum(-1)
    inside = middle**2 - (eye**2).sum(-1) + 0.4**2
    clear = np.abs(inside) > 5e-3  # not at the very rim
    np.testing.assert_array_equal(hit.found[clear], inside[clear] > 0)
    seen = clear & (inside > 0)
    assert 100 < seen.sum() < 500
    np.testing.assert_allclose(
        hit.length[seen], (middle - np.sqrt(np.abs(inside)))[seen], atol=2e-5
    )
    assert np.all(hit.length[~hit.found] == 0)
    assert not hit.lost.any()
    points = eye + np.asarray(hit.length)[:, None] * way
    np.testing.assert_allclose(
        normals(alone(solid.sphere(0.4)), np.float32(points))[seen], points[seen] / 0.4, atol=1e-4
    )


def test_rays_meet_a_box_where_the_formula_says():
    eye, way = at_random()
    half = np.array([0.5, 0.4, 0.3])
    world = alone(solid.box(half))
    hit = trace(world, eye, way)
    low, high = ((side * half - eye) / way for side in (-1.0, 1.0))
    enter, leave = np.minimum(low, high), np.maximum(low, high).min(-1)
    clear = np.abs(enter.max(-1) - leave) > 1e-2
    np.testing.assert_array_equal(hit.found[clear], (enter.max(-1) < leave)[clear])
    seen = clear & (enter.max(-1) < leave)
    assert 100 < seen.sum() < 500
    np.testing.assert_allclose(hit.length[seen], enter.max(-1)[seen], atol=1e-5)
    axis = enter.argmax(-1)
    faces = -np.sign(way) * np.eye(3)[axis]
    sure = seen & (np.sort(enter, -1)[:, 2] - np.sort(enter, -1)[:, 1] > 1e-2)
    points = eye + hit.length[:, None] * way
    np.testing.assert_allclose(normals(world, points + 1e-3 * faces)[sure], faces[sure], atol=1e-4)


@pytest.mark.parametrize('world', [desk(), scene(1)], ids=['desk', 'random'])
def test_no_ray_is_lost(world):
    camera = orbit(fibonacci(3), 40)[0]
    bundle = rays(camera, pixel_grid(40, 40).reshape(-1, 2))
    hit = trace(world, bundle.origins, bundle.directions)
    assert not hit.lost.any()
    assert 0.15 < hit.found.mean() < 0.6
    points = bundle.origins + hit.length[:, None] * bundle.directions
    assert_on_surface(world, points[hit.found])


def test_active_rows_are_worked_on_together():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2)).astype(np.float32)
    seen = []

    def double(active, x):
        jax.debug.callback(lambda: seen.append(1))
        return (jnp.where(active[:, None], 2 * x, -1),)

    for share, calls in ((0.0, 0), (0.3, None), (1.0, 7)):
        active = rng.uniform(size=100) < share
        seen.clear()
        (y,) = by_chunks(double, jnp.asarray(active), (x,), (-jnp.ones_like(x),), 16)
        jax.effects_barrier()
        np.testing.assert_array_equal(y, np.where(active[:, None], 2 * x, -1))
        assert len(seen) == (-(-active.sum() // 16) if calls is None else calls)


def test_shadow_of_a_ball():
    above = LIGHT._replace(toward=np.float32([0, 0, 1]))
    radius = np.linspace(0, 0.8, 33, dtype=np.float32)
    points = np.stack([radius, 0 * radius, np.full_like(radius, -0.398)], -1)
    seen = np.asarray(soft_shadow(table(), above, points, np.ones(33, bool)))
    assert np.all(seen[radius < 0.25] == 0)
    assert np.all(np.diff(seen) >= 0)
    half = (seen > 0) & (seen < 0.95)
    assert 1 <= half.sum() < 8  # soft, but not everywhere
    assert np.all(seen[radius > 0.45] > 0.99)
    assert np.all(np.asarray(soft_shadow(table(), above, points, np.zeros(33, bool))) == 0)


def test_lambert_and_blinn_phong():
    points = np.float32([[0.7, 0.2, -0.4]])
    light = LIGHT._replace(sky=np.zeros(3, np.float32), ground=np.zeros(3, np.float32))
    ways = {
        'mirrored': np.float32([[0.48, 0.36, -0.8]]),
        'aside': np.float32([[-0.48, -0.36, -0.8]]),
    }
    color = {
        (strength, name): np.asarray(shade(table(strength), light, points, way, np.ones(1, bool)))[
            0
        ]
        for strength in (0.0, 0.5)
        for name, way in ways.items()
    }
    albedo = np.asarray(material('#40a060').colors[0])
    np.testing.assert_allclose(
        color[0.0, 'aside'], (albedo * light.sun * 0.8) ** (1 / 2.2), rtol=2e-2
    )
    np.testing.assert_allclose(color[0.0, 'aside'], color[0.0, 'mirrored'], atol=1e-6)
    assert np.all(color[0.5, 'mirrored'] > color[0.5, 'aside'] + 0.1)


def test_a_view_agrees_with_itself():
    world, camera = table(), orbit(fibonacci(5), SIZE)[2]
    view = render(world, camera)
    alpha, mask = view.image[..., 3], np.asarray(view.objects >= 0)
    pixels = pixel_grid(SIZE, SIZE).reshape(-1, 2)
    points = unproject(camera, pixels, view.depth.reshape(-1)).reshape(SIZE, SIZE, 3)
    assert_on_surface(world, points[mask])
    back, depth = project(camera, points.reshape(-1, 3))
    np.testing.assert_allclose(back[mask.ravel()], pixels[mask.ravel()], atol=1e-3)
    np.testing.assert_allclose(depth[mask.ravel()], view.depth[mask], atol=1e-5)
    toward = (rays(camera, pixels).directions.reshape(SIZE, SIZE, 3) * view.normals).sum(-1)
    assert np.all(toward[mask] < 1e-3)
    assert set(np.unique(view.objects)) == {-1, 0, 1}
    flat = (view.objects == 1) & (np.abs(points[..., 2] + 0.4) < 1e-4)
    np.testing.assert_allclose(view.normals[flat], np.tile([0, 0, 1], (flat.sum(), 1)), atol=1e-5)
    for outside in (view.depth[~mask], view.normals[~mask], view.image[alpha == 0]):
        assert np.all(outside == 0)
    assert set(np.unique(alpha)) == {0, 0.25, 0.5, 0.75, 1}
    assert view.image.min() >= 0
    assert view.image.max() <= 1
    # Colors are straight: at the rim they are as bright as inside.
    rim = view.image[(alpha > 0) & (alpha < 1)][:, :3].mean()
    assert rim > 0.6 * view.image[alpha == 1][:, :3].mean()


def test_up_is_up_and_right_is_right():
    camera = orbit(jnp.float32([[1, 0, 0.1]]) / np.hypot(1, 0.1), SIZE)[0]  # looks along -x
    for center, (row, column) in (((0, 0, 0.4), (0, None)), ((0, 0.4, 0), (None, 1))):
        y, x = np.nonzero(render(alone(solid.sphere(0.1), center), camera).objects == 0)
        assert row is None or y.max() < SIZE / 2
        assert column is None or x.min() > SIZE / 2


def test_alpha_covers_the_silhouette_of_a_ball():
    camera = orbit(fibonacci(4), SIZE)[1]
    alpha = np.asarray(render(alone(solid.sphere(0.5)), camera).image[..., 3])
    radius = FOCAL * SIZE * 0.5 / np.sqrt(DISTANCE**2 - 0.5**2)
    assert float(alpha.sum()) == pytest.approx(np.pi * radius**2, rel=0.02)
    samples = pixel_grid(SIZE, SIZE)[:, :, None] + np.float32(SAMPLES) - SIZE / 2
    np.testing.assert_array_equal(alpha, (np.linalg.norm(samples, axis=-1) < radius).mean(-1))


def test_the_same_bytes_whatever_the_chunk():
    camera = orbit(fibonacci(4), SIZE)[1]
    first, again, other = (render(table(), camera, chunk=chunk) for chunk in (256, 256, 1000))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, atol=1e-5)


def test_cameras_stand_around_and_look_at_the_middle():
    keys = jax.random.split(jax.random.key(0), 500)
    for directions in (fibonacci(500), scattered(keys)):
        low, high = HEIGHTS
        np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1, atol=1e-6)
        z = np.asarray(directions[:, 2])
        assert z.min() >= low
        assert z.max() <= high
        np.testing.assert_allclose(
            np.quantile(z, [0.25, 0.5, 0.75]),
            low + (high - low) * np.array([0.25, 0.5, 0.75]),
            atol=0.05,
        )
        np.testing.assert_allclose(directions[:, :2].mean(0), 0, atol=0.06)
        cameras = orbit(directions, 20)
        pixels, depth = project(cameras, jnp.zeros((500, 1, 3)))
        np.testing.assert_allclose(pixels, 10, atol=1e-4)
        np.testing.assert_allclose(depth, DISTANCE, atol=1e-5)
    np.testing.assert_array_equal(scattered(keys)[:7], scattered(keys[:7]))
