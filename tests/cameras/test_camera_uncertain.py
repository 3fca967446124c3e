"""Cameras that are wrong by so much, or as a whole, which does not count."""

from dataclasses import replace

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.cameras import (
    compose,
    inverse,
    look_at,
    make,
    project,
    refined,
    se3_exp,
    se3_log,
    so3_exp,
)
from jaxcv.cameras.similarity import Similarity, apart, moved
from jaxcv.cameras.uncertain import Poses, errors, uncertain

EYES = 3.0 * np.float32([[1, 0, 0], [0, -1, 0], [0.6, 0, 0.8], [0, 0.6, 0.8]])
CAMERAS = make(look_at(jnp.asarray(EYES), jnp.zeros(3), jnp.array([0.1, 0.2, 1.0])), 20.0, 16, 16)


def test_other_cameras_follow_the_drift():
    """All cameras moved by one similarity: nothing is wrong, and the others are moved alike."""
    turn, shift = so3_exp(jnp.array([0.1, 0.2, -0.1])), jnp.array([0.05, 0.0, -0.1])
    by = Similarity(jnp.float32(1.1), turn, shift)
    others = replace(CAMERAS, pose=refined(CAMERAS, jnp.full(6, 0.1)).pose)
    made = uncertain(CAMERAS, Poses(refine=True, rate=1.0))
    params, aux = made.init(jax.random.key(0))
    drift = se3_log(compose(moved(CAMERAS, by).pose, inverse(CAMERAS.pose)))
    found, metrics = made.placed({**params, 'twists': drift}, aux, others)
    world = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (4, 9, 3)), jnp.float32)
    expected, _ = project(others, world)
    seen, _ = project(found, 1.1 * world @ turn.T + shift)
    np.testing.assert_allclose(seen, expected, atol=1e-2)
    assert metrics['cameras_turned'] < 0.05 and metrics['cameras_moved'] < 1e-3


def test_known_cameras_are_left_alone():
    made = uncertain(CAMERAS, Poses())
    assert made.init(jax.random.key(0)) == ({}, {}) and made.found({}, {}) is CAMERAS
    found, metrics = made.placed({}, {}, CAMERAS)
    np.testing.assert_array_equal(found.pose, CAMERAS.pose)
    assert not metrics


def test_errors_have_their_size():
    twists = np.random.default_rng(0).normal(size=(50, 6))
    before = make(se3_exp(jnp.asarray(twists, jnp.float32)), 50.0, 40, 30)
    keys = jax.random.split(jax.random.key(0), 50)
    after = refined(before, errors(before, 0.1, 0.0, keys))
    angle, distance = apart(before, after)
    np.testing.assert_allclose(angle, 0.1, rtol=1e-4)
    # The world turns about the camera, which stays.
    np.testing.assert_allclose(distance, 0, atol=1e-5)
    after = refined(before, errors(before, 0.0, 0.2, keys))
    angle, distance = apart(before, after)
    np.testing.assert_allclose(angle, 0, atol=1e-3)
    reach = np.linalg.norm(inverse(before.pose)[..., 3], axis=-1)
    np.testing.assert_allclose(distance, 0.2 * reach, rtol=1e-4)
