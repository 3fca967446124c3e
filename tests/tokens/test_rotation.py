"""The rotation trick against an explicit rotation matrix."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.tokens.rotation import normalized, passed, rotate


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def matrix(u, q):
    """The rotation of the plane of two unit vectors that takes u to q, in double precision."""
    v = q - (u @ q) * u
    v /= np.linalg.norm(v)
    cos, sin = u @ q, v @ q
    plane = np.outer(v, u) - np.outer(u, v)
    return np.eye(len(u)) + sin * plane + (cos - 1) * (np.outer(u, u) + np.outer(v, v))


def test_gradient_is_that_of_the_rotation():
    z, e, weights = normal(6, 5), normal(6, 5, seed=1), normal(6, 5, seed=2)
    values, pull = jax.vjp(lambda z, e: passed(e, z, True), z, e)
    np.testing.assert_array_equal(values, e)
    np.testing.assert_allclose(rotate(z, e), e, atol=1e-5)
    to_z, to_e = pull(weights)
    assert not to_e.any()
    for i in range(6):
        x, y, g = (np.float64(a[i]) for a in (z, e, weights))
        lengths = np.linalg.norm(x), np.linalg.norm(y)
        wanted = lengths[1] / lengths[0] * matrix(x / lengths[0], y / lengths[1]).T @ g
        np.testing.assert_allclose(to_z[i], wanted, atol=1e-4)


def test_the_angle_to_the_gradient_is_kept():
    z, e, weights = normal(20, 4), normal(20, 4, seed=1), normal(20, 4, seed=2)
    (to_z,) = jax.vjp(lambda z: passed(e, z, True), z)[1](weights)

    def cosine(a, b):
        return (normalized(a) * normalized(b)).sum(-1)

    np.testing.assert_allclose(cosine(to_z, z), cosine(weights, e), atol=1e-5)


def test_straight_through():
    z, e, weights = normal(6, 5), normal(6, 5, seed=1), normal(6, 5, seed=2)
    values, pull = jax.vjp(lambda z, e: passed(e, z, False), z, e)
    np.testing.assert_array_equal(values, e)
    to_z, to_e = pull(weights)
    np.testing.assert_array_equal(to_z, weights)
    assert not to_e.any()


@pytest.mark.parametrize('z,e', [((0, 0), (1, 0)), ((1, 0), (0, 0)), ((1, 0), (-1, 0))])
def test_degenerate_pairs_have_finite_gradients(z, e):
    z, e = jnp.asarray([z], jnp.float32), jnp.asarray([e], jnp.float32)
    values, pull = jax.vjp(lambda z: passed(e, z, True), z)
    np.testing.assert_array_equal(values, e)
    assert np.isfinite(pull(jnp.ones_like(e))[0]).all()
    assert np.isfinite(jax.grad(lambda z: normalized(z).sum())(z)).all()
