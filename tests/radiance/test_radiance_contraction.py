"""Space in a box, against definitions and derivatives."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import make, rays
from jaxcv.data.captures import ndc
from jaxcv.radiance import contraction
from jaxcv.radiance.fields import Condition, field

KEY = jax.random.key(0)


def points(count=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3))
    return jnp.asarray(x * np.exp(rng.uniform(-3, 5, (count, 1))), jnp.float32)


def test_the_ball_is_where_the_definition_puts_it():
    x = np.asarray(points(), np.float64)
    radius = np.linalg.norm(x, axis=-1, keepdims=True)
    expected = np.where(radius <= 1, x, (2 - 1 / radius) * x / radius) / 2
    found = contraction.ball(points())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (np.linalg.norm(found, axis=-1) < 1).all() and (radius > 1).any() and (radius < 1).any()


def test_the_frustum_is_that_of_normalized_device_coordinates():
    """Points of rays, in the coordinates that the rays themselves have there."""
    camera = make(np.diag([1.0, -1, -1, 1])[:3], 16.0, 32, 32)  # sees a right angle, along -z
    seen = rays(camera, jax.random.uniform(KEY, (50, 2), maxval=32.0))
    origins, directions = ndc(seen.origins, seen.directions, camera.focal, 32, 32)
    for share in (0.0, 0.3, 0.9):
        there = origins + share * directions
        depth = 2 / (1 - there[:, 2:])
        here = jnp.concatenate([there[:, :2] * depth, -depth], -1)
        np.testing.assert_allclose(contraction.frustum(here), there, atol=1e-5)
    inside = contraction.frustum(jnp.array([[3.0, -2.0, -5.0], [0.0, 0.0, -1e6], [0.0, 0.0, 3.0]]))
    assert (jnp.abs(inside[:2]) <= 1).all() and jnp.isfinite(inside).all()


@pytest.mark.parametrize('warp', [contraction.ball, contraction.frustum])
def test_gaussians_move_with_the_derivative(warp):
    """A narrow one, drawn."""
    x = jnp.array([[0.3, -0.2, -1.2], [1.0, 2.0, -2.5]])
    variance = jnp.array([[1e-4, 4e-4, 1e-4], [4e-4, 1e-4, 9e-4]])
    drawn = x + jnp.sqrt(variance) * jax.random.normal(KEY, (20_000, 2, 3))
    found = contraction.spread(warp, x, variance)
    np.testing.assert_allclose(found, jax.vmap(warp)(drawn).var(0), rtol=0.05)


def test_the_derivative_exists_at_the_origin_and_at_the_border():
    x = jnp.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    slope = jax.vmap(jax.jacobian(contraction.ball))(x)
    np.testing.assert_allclose(slope, np.tile(np.eye(3) / 2, (2, 1, 1)), atol=1e-6)


@pytest.mark.parametrize('space', ['ball', 'frustum'])
def test_a_field_of_more_than_a_box(space):
    """Is the field itself, elsewhere; its parameters grow as they do alone."""
    fields = {'name': 'voxels', 'cells': 4, 'finest': 8, 'degree': 0}
    made, inner = field(space=space, **fields), field(**fields)
    x = points()
    told = Condition(variance=jnp.full_like(x, 1e-3))
    params = made.init(KEY, x, x, told)
    own = {'params': params['params']['inner']}
    warp = getattr(contraction, space)
    for a, b in zip(made.apply(params, x, x, told), inner.apply(own, warp(x), x), strict=True):
        np.testing.assert_array_equal(a, b)
    density = made.apply(params, x, told, method='density')
    np.testing.assert_array_equal(density, made.apply(params, x, x).density)
    grown = made.grown(params)
    jax.tree.map(
        np.testing.assert_array_equal, grown['params']['inner'], inner.grown(own)['params']
    )
    assert jax.tree.leaves(grown)[0].shape != jax.tree.leaves(params)[0].shape
    assert made.apply(params, KEY, method='penalties').keys() == {
        *inner.apply(own, KEY, method='penalties')
    }


def test_cones_are_told_in_the_box():
    """An integrated encoding far away sees a small Gaussian."""
    made = field('nerf', space='ball', encoding='integrated', depth=1, width=8)
    x, variance = points(), jnp.full((200, 3), 0.1)
    params = made.init(KEY, x, x, Condition(variance=variance))
    told = Condition(variance=contraction.spread(contraction.ball, x, variance))
    inner = field('nerf', encoding='integrated', depth=1, width=8)
    own = {'params': params['params']['inner']}
    for a, b in zip(
        made.apply(params, x, x, Condition(variance=variance)),
        inner.apply(own, contraction.ball(x), x, told),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)
