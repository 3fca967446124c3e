"""Segments of experience are what happened, whole episodes and all."""

import dataclasses

import jax
import numpy as np
import pytest
from counting import LIMIT, counting
from jax import numpy as jnp

from jaxcv.rl import distributions, rollout
from jaxcv.rl.envs.vector import vectorize

N, STEPS = 6, 40


def network(observation, start, carry):
    """A uniform policy; the value is 10 steps + beginning; the carry counts steps in an episode."""
    seen = []
    for t in range(len(start)):
        carry = jnp.where(start[t], 0, carry) + 1
        seen.append(carry)
    logits = jnp.zeros((*start.shape, 2))
    return distributions.Categorical(logits), observation @ jnp.array([10.0, 1.0]), carry


def collected(envs, steps=STEPS, n=N):
    actors = rollout.enter(envs, jax.random.split(jax.random.key(0), n), jnp.zeros(n, jnp.int32))
    collect = jax.jit(lambda a, key: rollout.collect(envs, network, a, key, steps))
    return collect(actors, jax.random.key(1))


@pytest.fixture(scope='module')
def segment():
    return jax.tree.map(np.asarray, collected(vectorize(counting())))


def test_observations_count_within_episodes_and_begin_anew(segment):
    _, seen, _ = segment
    done = seen.terminated | seen.truncated
    np.testing.assert_array_equal(seen.observation[1:, :, 0] == 0, done[:-1])
    np.testing.assert_array_equal(seen.start[1:], done[:-1])
    assert seen.start[0].all() and seen.terminated.any() and seen.truncated.any()
    grown = seen.observation[1:, :, 0] - seen.observation[:-1, :, 0]
    np.testing.assert_array_equal(grown[~done[:-1]], 1)
    # A new episode is drawn with a new key.
    assert len(np.unique(seen.observation[..., 1])) == seen.start.sum()


def test_next_values_are_those_of_the_true_next_observations(segment):
    """Also where an episode was cut off and the next one has begun."""
    _, seen, _ = segment
    expected = 10 * (seen.observation[..., 0] + 1) + seen.observation[..., 1]
    goes_on = ~seen.terminated
    np.testing.assert_allclose(seen.next_value[goes_on], expected[goes_on], rtol=1e-6)
    assert (seen.truncated & (expected > 10 * LIMIT)).any()


def test_finished_episodes_are_counted_once(segment):
    actors, seen, finished = segment
    done = seen.terminated | seen.truncated
    assert finished.count == done.sum()
    assert finished.lengths + actors.length.sum() == STEPS * N
    np.testing.assert_allclose(finished.returns + actors.collected.sum(), seen.reward.sum())
    np.testing.assert_allclose(seen.reward, 1 + seen.action)


def test_the_carry_is_forgotten_between_episodes(segment):
    actors, _, _ = segment
    before = actors.length
    fresh = np.asarray(actors.start)
    np.testing.assert_array_equal(actors.carry[~fresh], before[~fresh])


def test_groups_in_flight_change_nothing():
    envs = vectorize(counting())
    one = collected(envs)
    two = collected(dataclasses.replace(envs, groups=2))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_latest_keeps_the_last_known():
    old = {'episode_return': jnp.float32(7.0), 'episode_length': jnp.float32(3.0)}
    none = rollout.latest(old, rollout.Finished(jnp.float32(0), jnp.float32(0), jnp.float32(0)))
    assert none == old
    some = rollout.latest(old, rollout.Finished(jnp.float32(2), jnp.float32(8), jnp.float32(6)))
    assert some == {'episode_return': 4.0, 'episode_length': 3.0}
