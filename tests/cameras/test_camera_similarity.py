"""Cameras moved as a whole, against what they see."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import look_at, make, project, se3_exp, so3_exp
from jaxcv.cameras.rotations import product
from jaxcv.cameras.similarity import Similarity, centers, moved, similarity


def cameras(count, seed=0):
    """Anywhere, looking anywhere."""
    rng = np.random.default_rng(seed)
    twists = jnp.asarray(rng.normal(size=(count, 6)), jnp.float32)
    return make(se3_exp(twists), 50.0, 40, 30)


BY = Similarity(jnp.float32(1.7), so3_exp(jnp.array([0.3, -1.1, 0.5])), jnp.array([0.4, -2.0, 1.0]))


def points(count):
    return jnp.asarray(np.random.default_rng(1).normal(size=(count, 3)), jnp.float32)


def test_moved_cameras_see_the_moved_world():
    before = cameras(5)
    world = points(20)
    after = BY.scale * world @ BY.rotation.T + BY.shift
    every = lambda x: jnp.broadcast_to(x, (5, 20, 3))  # noqa: E731
    expected, depth = project(before, every(world))
    found, scaled = project(moved(before, BY), every(after))
    seen = depth > 0.1
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(scaled, BY.scale * depth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('count', [1, 2, 12])
def test_a_similarity_is_found(count):
    """One camera does not tell the scale, but nothing else is open."""
    before = cameras(count)
    by = BY if count > 1 else BY._replace(scale=jnp.float32(1.0))
    found = jax.jit(similarity)(before, moved(before, by))
    for one, other in zip(found, by, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_what_cameras_see_counts_and_not_where_they_are():
    """All are too low and look too high, about the origin, which stays where it is."""
    before = make(look_at(3 * unit(12), jnp.zeros(3), jnp.array([0.1, 0.2, 1.0])), 50.0, 40, 30)
    turned = product(so3_exp(jnp.array([0.02, 0, 0])), before.pose[..., :3])
    after = replace(before, pose=before.pose.at[..., :3].set(turned))
    assert jnp.abs(centers(after) - centers(before)).mean() > 0.03
    found = similarity(before, after)
    np.testing.assert_allclose(found.shift, 0, atol=5e-3)
    np.testing.assert_allclose(found.scale, 1, atol=5e-3)
    np.testing.assert_allclose(found.rotation, np.eye(3), atol=5e-3)


def unit(count):
    """On the upper half of the sphere."""
    x = np.random.default_rng(2).normal(size=(count, 3))
    x[:, 2] = np.abs(x[:, 2])
    return jnp.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), jnp.float32)
