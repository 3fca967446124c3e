"""The contraction of space, against its definition and its derivative."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.radiance import contraction


def points(count=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3))
    return jnp.asarray(x * np.exp(rng.uniform(-3, 5, (count, 1))), jnp.float32)


def test_points_are_where_the_definition_puts_them():
    x = np.asarray(points(), np.float64)
    radius = np.linalg.norm(x, axis=-1, keepdims=True)
    expected = np.where(radius <= 1, x, (2 - 1 / radius) * x / radius)
    found = contraction.contract(points())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (np.linalg.norm(found, axis=-1) < 2).all() and (radius > 1).any() and (radius < 1).any()


def test_expand_is_the_inverse():
    x = points()
    x = x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True) / 50, 1)
    np.testing.assert_allclose(contraction.expand(contraction.contract(x)), x, rtol=1e-3)


def test_gaussians_move_with_the_derivative():
    with jax.enable_x64(True):
        mean = jnp.asarray(points(), jnp.float64)
        root = jnp.asarray(np.random.default_rng(1).normal(size=(200, 3, 3)))
        covariance = root @ root.swapaxes(-1, -2)
        slope = jax.vmap(jax.jacobian(contraction.contract))(mean)
        expected = slope @ covariance @ slope.swapaxes(-1, -2)
        moved, spread = contraction.contract_gaussian(mean, covariance)
        np.testing.assert_allclose(moved, contraction.contract(mean), rtol=1e-12)
        scale = abs(expected).max((-1, -2), keepdims=True)
        np.testing.assert_allclose(spread / scale, expected / scale, atol=1e-10)


def test_the_derivative_exists_at_the_origin_and_at_the_border():
    x = jnp.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    slope = jax.vmap(jax.jacobian(contraction.contract))(x)
    np.testing.assert_allclose(slope, np.tile(np.eye(3), (2, 1, 1)), atol=1e-6)
