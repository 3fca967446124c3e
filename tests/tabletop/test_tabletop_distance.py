import jax
import numpy as np
import pytest
from compiling import FUSED
from jax import numpy as jnp

from jaxcv.cameras import so3_exp
from jaxcv.data.tabletop import (
    assembled,
    bounds,
    desk,
    distance,
    material,
    moved,
    normals,
    placed,
    scene,
    solid,
    surface_points,
)
from jaxcv.data.tabletop.materials import noise, pattern_value
from jaxcv.data.tabletop.world import owner

RED, BLUE = material('#ff0000'), material('#0000ff')
distance, normals, surface_points = map(jax.jit, (distance, normals, surface_points))
bounds, moved, owner = map(jax.jit, (bounds, moved, owner))


def alone(body, center=(0, 0, 0), **fields):
    return assembled([placed(body, RED, center, **fields)])


def balls(blend=0.0):
    first = placed(solid.sphere(0.3), RED, (-0.25, 0, 0))
    return assembled([first, placed(solid.sphere(0.2), BLUE, (0.25, 0, 0), blend=blend)])


def places(count=2000, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3)).astype(np.float32)


def corner(u, v):
    """To the quadrant u < 0, v < 0."""
    return np.hypot(np.maximum(u, 0), np.maximum(v, 0)) + np.minimum(np.maximum(u, v), 0)


def to_box(x, half):
    q = np.abs(x) - half
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)


def to_segment(x, half_height):
    z = x[:, 2] - np.clip(x[:, 2], -half_height, half_height)
    return np.linalg.norm(np.stack([x[:, 0], x[:, 1], z]), axis=0)


def around(x):
    return np.hypot(x[:, 0], x[:, 1])


HALF = np.array([0.4, 0.3, 0.2])
CASES = {
    'sphere': (solid.sphere(0.4), lambda x: np.linalg.norm(x, axis=-1) - 0.4),
    'box': (solid.box(HALF), lambda x: to_box(x, HALF)),
    'round box': (solid.box(HALF, 0.1), lambda x: to_box(x, HALF - 0.1) - 0.1),
    'torus': (solid.torus(0.5, 0.2), lambda x: np.hypot(around(x) - 0.5, x[:, 2]) - 0.2),
    'capsule': (solid.capsule(0.2, 0.7), lambda x: to_segment(x, 0.5) - 0.2),
    'cylinder': (
        solid.cylinder(0.4, 0.3),
        lambda x: corner(around(x) - 0.4, np.abs(x[:, 2]) - 0.3),
    ),
    'disc': (
        solid.cylinder(0.8, 0.05, 0.02),
        lambda x: corner(around(x) - 0.78, np.abs(x[:, 2]) - 0.03) - 0.02,
    ),
    'tube': (
        solid.tube(0.5, 0.3, 0.05),
        lambda x: corner(np.abs(around(x) - 0.45) - 0.05, np.abs(x[:, 2]) - 0.3),
    ),
}


@pytest.mark.parametrize('name', CASES)
def test_solids_are_those_of_the_formulas(name):
    body, expected = CASES[name]
    x = places()
    np.testing.assert_allclose(distance(alone(body), x), expected(x.astype(np.float64)), atol=2e-6)


def test_objects_stand_where_they_are_placed():
    turned, center = np.float32([0.3, -0.8, 0.5]), np.float32([0.1, 0.2, -0.3])
    x = places()
    inside = (x - center) @ np.asarray(so3_exp(turned))
    world = assembled([placed(solid.box(HALF, 0.05), RED, center, turned)])
    np.testing.assert_allclose(
        distance(world, x), distance(alone(solid.box(HALF, 0.05)), inside), atol=1e-6
    )


def test_unions_hard_and_melted():
    x = places()
    a = np.linalg.norm(x + np.float32([0.25, 0, 0]), axis=-1) - 0.3
    b = np.linalg.norm(x - np.float32([0.25, 0, 0]), axis=-1) - 0.2
    np.testing.assert_allclose(distance(balls(), x), np.minimum(a, b), atol=1e-6)
    melted = np.asarray(distance(balls(0.2), x))
    apart = np.abs(a - b) >= 0.2
    np.testing.assert_allclose(melted[apart], np.minimum(a, b)[apart], atol=1e-6)
    assert np.all(melted[~apart] <= np.minimum(a, b)[~apart] + 1e-6)
    # Halfway both count alike, and the surface is a quarter of the width further out.
    halfway = np.abs(a - b) < 1e-2
    np.testing.assert_allclose(melted[halfway], np.minimum(a, b)[halfway] - 0.05, atol=6e-3)


@pytest.mark.parametrize('world', [balls(0.2), desk()], ids=['balls', 'desk'])
def test_no_step_of_the_distance_crosses_the_surface(world):
    x, step = places(), places(seed=1) * 0.05
    change = np.abs(distance(world, x + step) - distance(world, x))
    assert np.all(change <= np.linalg.norm(step, axis=-1) + 1e-6)


def test_normals_are_those_of_finite_differences():
    world, x = balls(0.2), places(200)
    step = 1e-2 * np.eye(3, dtype=np.float32)
    slope = np.stack([(distance(world, x + e) - distance(world, x - e)) for e in step], -1)
    slope /= np.linalg.norm(slope, axis=-1, keepdims=True)
    assert (
        np.mean((slope * normals(world, x)).sum(-1) > 0.999) > 0.97
    )  # but where the nearest changes
    outside = x[np.linalg.norm(x, axis=-1) > 0.5]
    unit = outside / np.linalg.norm(outside, axis=-1, keepdims=True)
    np.testing.assert_allclose(normals(alone(solid.sphere(0.5)), outside), unit, atol=1e-6)


def test_colors_are_mixed_by_what_each_object_adds_to_the_gradient():
    x = places()
    for blend in (0.0, 0.3):
        world = balls(blend)
        index, colors = owner(world, x)
        to = [np.asarray(x - np.asarray(c), np.float64) for c in world.center]
        to = [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in to]
        slope = np.asarray(jax.vmap(jax.grad(lambda p, world=world: distance(world, p)))(x))
        mixed = colors[:, 0, :1] * to[0] + colors[:, 0, 2:] * to[1]
        np.testing.assert_allclose(mixed, slope, atol=2e-4)
        np.testing.assert_allclose(colors[:, 0, 0] + colors[:, 0, 2], 1, atol=1e-5)
        assert np.all(np.asarray(index) == (colors[:, 0, 2] > 0.5))


def test_copies_fill_up_and_change_nothing():
    one = placed(solid.torus(0.4, 0.1), RED, (0, 0, 0))
    x = places()
    few, many = assembled([one]), assembled([one], 5)
    assert len(many.blend) == 5
    np.testing.assert_allclose(distance(few, x), distance(many, x), atol=1e-6)
    np.testing.assert_allclose(normals(few, x), normals(many, x), atol=1e-6)


def test_motion_turns_objects_and_brings_them_back():
    world = alone(solid.box(HALF), (0.1, 0, 0), spin=(0, 0, 1.0), rise=(0, 0, 0.4))
    x = places()
    for time, up in ((0.0, 0.0), (0.5, 0.4), (1.0, 0.0)):
        now = moved(world, jnp.float32(time))
        back = np.asarray(so3_exp(jnp.float32([0, 0, time])))
        inside = (x - np.float32([0.1, 0, up])) @ back
        np.testing.assert_allclose(distance(now, x), to_box(inside, HALF), atol=2e-6)


def test_points_of_the_surface():
    keys = jax.random.split(jax.random.key(0), 4000)
    world = balls()
    points = jax.jit(surface_points, compiler_options=FUSED)
    x = np.asarray(points(world, keys))
    assert np.abs(distance(world, x)).max() < 1e-6
    large = x[:, 0] < 0.05
    assert large.mean() == pytest.approx(0.09 / 0.13, abs=0.03)  # areas
    unit = (x[large] - np.float32([-0.25, 0, 0])) / 0.3
    np.testing.assert_allclose(unit.mean(0), 0, atol=0.05)
    np.testing.assert_allclose((unit**2).mean(0), 1 / 3, atol=0.03)
    np.testing.assert_array_equal(x[:10], points(world, keys[:10]))


def test_everything_stays_in_the_cube():
    worlds = [scene(seed) for seed in range(30)]
    worlds += [moved(desk(), jnp.float32(time)) for time in np.linspace(0, 1, 9)]
    for world in worlds:
        low, high = bounds(world)
        assert np.all(low > -1) and np.all(high < 1)
    x = np.asarray(surface_points(desk(), jax.random.split(jax.random.key(0), 500)))
    low, high = bounds(desk())
    assert np.all((x > low) & (x < high))


def test_random_scenes():
    counts = []
    for seed in range(20):
        world = scene(seed)
        for leaf, again in zip(jax.tree.leaves(world), jax.tree.leaves(scene(seed)), strict=True):
            np.testing.assert_array_equal(leaf, again)
        counts.append(len(np.unique(world.center, axis=0)) - 1)
    assert set(counts) == {3, 4, 5, 6}
    assert np.any(scene(0).center != scene(1).center)


def test_patterns():
    x, y, z = jnp.asarray(places(20000)).T
    parity = (np.floor(4 * x) + np.floor(4 * y) + np.floor(4 * z)) % 2
    values = {
        k: pattern_value(material('#000000', '#ffffff', k, 4.0), x, y, z)
        for k in ('plain', 'checks', 'stripes', 'noise')
    }
    assert np.all(values['plain'] == 0)
    np.testing.assert_array_equal(values['checks'], parity)
    for kind in ('checks', 'stripes', 'noise'):
        assert values[kind].min() >= 0 and values[kind].max() <= 1
        assert float(values[kind].mean()) == pytest.approx(0.5, abs=0.05)
    change = np.abs(noise(x + 1e-3, y, z) - noise(x, y, z))
    assert 0 < change.max() < 0.01
