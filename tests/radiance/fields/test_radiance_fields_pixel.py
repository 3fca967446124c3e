"""What is read off pictures does not depend on the world in which they were taken."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import compose, inverse, look_at, make, pixel_grid, se3_exp, unproject
from jaxcv.radiance.fields.pixel import Encoder, PixelField, Sources, pixel_features

KEY = jax.random.key(0)
EYES = jnp.array([[0.0, -3.0, 1.0], [2.0, 2.0, 1.0], [-3.0, 0.5, 0.0]])
WIDTH, HEIGHT = 10, 8


def cameras(moved=None):
    poses = jax.vmap(lambda eye: look_at(eye, jnp.zeros(3), jnp.array([0.0, 0.0, 1.0])))(EYES)
    poses = poses if moved is None else compose(poses, inverse(moved))
    return make(poses, 12.0, WIDTH, HEIGHT)


def places(count):
    first, second = jax.random.split(jax.random.key(7))
    ways = jax.random.normal(second, (count, 3))
    ways = ways / jnp.linalg.norm(ways, axis=-1, keepdims=True)
    return jax.random.uniform(first, (count, 3), minval=-0.8, maxval=0.8), ways


@pytest.fixture(scope='module')
def field():
    """The field, with weights of which none is 0, and the features of three pictures."""
    made = PixelField(features=6, width=16)
    params = made.init(KEY, *places(1))['params']
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(KEY, len(leaves))
    params = tree.unflatten(
        x + 0.1 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)
    )
    return made, params, jax.random.normal(jax.random.key(1), (3, HEIGHT, WIDTH, 6))


def seen(field, maps, cameras, *inputs):
    made, params, _ = field
    known = {'params': params, 'sources': {'known': Sources(maps, cameras)}}
    return made.apply(known, *inputs)


def test_features_are_those_of_the_pixel_where_a_place_is_seen():
    maps = jax.random.normal(KEY, (HEIGHT, WIDTH, 3))
    camera = cameras()[0]
    pixels = pixel_grid(WIDTH, HEIGHT).reshape(-1, 2)
    for depth in (1.0, 3.0):
        points = unproject(camera, pixels, jnp.full(len(pixels), depth))
        found = pixel_features(maps, camera, points)
        np.testing.assert_allclose(found, maps.reshape(-1, 3), atol=1e-4)
    # Halfway between two pixels their mean; beside the picture its edge.
    points = unproject(camera, jnp.array([[3.0, 2.5], [-40.0, 2.5]]), jnp.full(2, 2.0))
    found = pixel_features(maps, camera, points)
    np.testing.assert_allclose(found[0], (maps[2, 2] + maps[2, 3]) / 2, atol=1e-4)
    np.testing.assert_allclose(found[1], maps[2, 0], atol=1e-4)


def test_the_world_may_be_turned_and_moved(field):
    moved = se3_exp(jnp.array([0.4, -1.2, 0.7, 0.3, 2.0, -1.0]))
    positions, ways = places(50)
    there = positions @ moved[:, :3].T + moved[:, 3], ways @ moved[:, :3].T
    here = seen(field, field[2], cameras(), positions, ways)
    for a, b in zip(here, seen(field, field[2], cameras(moved), *there), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert np.ptp(here.color) > 0.05
    # Only the world: places that stay where they were look different.
    other = seen(field, field[2], cameras(moved), positions, ways)
    assert np.abs(other.color - here.color).max() > 0.01


def test_sources_have_no_order_and_every_one_counts(field):
    inputs = places(50)
    order = jnp.array([2, 0, 1])
    whole = seen(field, field[2], cameras(), *inputs)
    turned = seen(field, field[2][order], cameras()[order], *inputs)
    np.testing.assert_allclose(whole.color, turned.color, atol=1e-5)
    for i in range(3):
        changed = field[2].at[i].add(1.0)
        assert np.abs(seen(field, changed, cameras(), *inputs).color - whole.color).max() > 1e-3


def test_density_is_that_in_the_direction_of_the_first_source(field):
    positions, _ = places(20)
    made, params, maps = field
    known = {'params': params, 'sources': {'known': Sources(maps, cameras())}}
    density = made.apply(known, positions, method='density')
    ways = positions - EYES[0]
    ways = ways / jnp.linalg.norm(ways, axis=-1, keepdims=True)
    np.testing.assert_allclose(density, made.apply(known, positions, ways).density, rtol=1e-4)


def test_features_of_a_pixel_see_far_and_near():
    """The finest map sees 5 pixels around, the coarsest the whole picture."""
    encoder = Encoder((8, 8, 8, 8))
    image = jnp.zeros((1, 32, 32, 3))
    params = encoder.init(KEY, image)
    assert encoder.apply(params, image).shape == (1, 32, 32, 32)

    def at_middle(image, first, last):
        return encoder.apply(params, image)[0, 16, 16, first:last].sum()

    slope = jax.grad(at_middle)(jax.random.normal(KEY, image.shape), 24, 32)
    assert float(jnp.abs(slope[0, 2, 2]).sum()) > 0
