"""Returns and advantages, against a double loop and rlax."""

from functools import partial

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import numpy as jnp
from jax import test_util
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcv.ops import across
from jaxcv.rl import advantages

T, N = 12, 3


def experience(seed, ends=0.3, t=T, n=N):
    """Random rewards, values and ends of episodes; next_value is free where an episode ends."""
    rng = np.random.default_rng(seed)
    rewards, values, last = rng.normal(size=(3, t, n))
    terminated = rng.random((t, n)) < ends / 2
    truncated = (rng.random((t, n)) < ends / 2) & ~terminated
    following = np.concatenate([values[1:], last[:1]])
    final = rng.normal(size=(t, n))
    next_values = np.where(terminated | truncated, final, following)
    return rewards, values, next_values, terminated, truncated


def slow(rewards, values, next_values, terminated, truncated, discount, trace):
    """A_t = sum_k (discount trace)^k delta_{t+k}, up to the end of the episode: a double loop."""
    found = np.zeros_like(rewards)
    steps, count = rewards.shape
    for i in range(count):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                future = 0.0 if terminated[k, i] else next_values[k, i]
                found[t, i] += weight * (rewards[k, i] + discount * future - values[k, i])
                weight *= discount * trace
                if terminated[k, i] or truncated[k, i]:
                    break
    return found


gae = jax.jit(advantages.gae)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(
    seed=st.integers(0, 2**31),
    ends=st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0]),
    discount=st.floats(0, 1),
    trace=st.floats(0, 1),
)
def test_gae_equals_the_double_loop(seed, ends, discount, trace):
    given = experience(seed, ends)
    expected = slow(*given, discount, trace)
    np.testing.assert_allclose(gae(*given, discount, trace), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('t', [1, 7, 8, 9, 17])
def test_gae_for_lengths_around_its_unrolling(t):
    given = experience(0, t=t)
    np.testing.assert_allclose(gae(*given, 0.9, 0.8), slow(*given, 0.9, 0.8), rtol=1e-4, atol=1e-5)


def test_trace_one_gives_returns_and_trace_zero_errors():
    rewards, values, next_values, *_ = given = experience(1, ends=0.0)
    returns = next_values[-1]
    for t in reversed(range(T)):
        returns = rewards[t] + 0.9 * returns
    np.testing.assert_allclose(gae(*given, 0.9, 1.0)[0], returns - values[0], rtol=1e-4)
    errors = rewards + 0.9 * next_values - values
    np.testing.assert_allclose(gae(*given, 0.9, 0.0), errors, rtol=1e-4, atol=1e-5)


def test_truncation_keeps_its_future_and_termination_does_not():
    ones = np.ones((1, 1))
    yes, no = ones.astype(bool), ~ones.astype(bool)
    cut = gae(ones, 0 * ones, 10 * ones, no, yes, 0.5, 0.9)
    ended = gae(ones, 0 * ones, 10 * ones, yes, no, 0.5, 0.9)
    assert (float(cut[0, 0]), float(ended[0, 0])) == (6.0, 1.0)


def test_gradients_of_gae_equal_differences():
    given = experience(2)
    weights = np.random.default_rng(3).normal(size=(T, N))

    def total(rewards, values, next_values, discount):
        return (
            advantages.gae(rewards, values, next_values, *given[3:], discount, 0.8) * weights
        ).sum()

    with jax.enable_x64(True):
        inputs = tuple(map(jnp.asarray, given[:3])) + (jnp.float64(0.9),)
        test_util.check_grads(total, inputs, order=1, modes=('rev',), atol=1e-5, rtol=1e-5)


def test_following_is_the_next_value_or_the_final_one():
    values, final = np.random.default_rng(4).normal(size=(2, T, N)).astype(np.float32)
    last = np.arange(N, dtype=np.float32)
    truncated = np.random.default_rng(5).random((T, N)) < 0.4
    found = advantages.following(values, last, final, truncated)
    for t in range(T):
        for i in range(N):
            after = last[i] if t == T - 1 else values[t + 1, i]
            assert found[t, i] == (final[t, i] if truncated[t, i] else after)


@pytest.mark.parametrize('layout', ['one', 'pmap', 'mesh'])
def test_standardize_sees_all_devices(layout):
    x = np.random.default_rng(6).normal(3, 5, size=(8, T, N)).astype(np.float32)
    x += 10 * np.arange(8)[:, None, None]  # each device alone would find another mean
    expected = (x - x.mean()) / x.std()
    found = {
        'one': lambda: advantages.standardize(x),
        'pmap': lambda: jax.pmap(advantages.standardize, axis_name=across.DATA)(x),
        'mesh': partial(over_mesh, advantages.standardize, x),
    }[layout]()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def over_mesh(function, x):
    mesh = Mesh(mesh_utils.create_device_mesh((8,)), (across.DATA,))
    spread = jax.device_put(x, NamedSharding(mesh, PartitionSpec(across.DATA)))
    return jax.jit(function)(spread)


def test_standardize_of_a_constant_is_zero():
    np.testing.assert_array_equal(advantages.standardize(jnp.full((T, N), 7.0)), 0.0)


def test_explained_variance():
    rng = np.random.default_rng(7)
    target, noise = rng.normal(size=(2, T, N)).astype(np.float32)
    assert advantages.explained_variance(target, target) == 1
    np.testing.assert_allclose(advantages.explained_variance(0 * target, target), 0, atol=1e-6)
    np.testing.assert_allclose(
        advantages.explained_variance(target + 0.5 * noise, target),
        1 - np.var(0.5 * noise) / np.var(target),
        rtol=1e-4,
    )
    assert np.isfinite(advantages.explained_variance(noise, jnp.zeros((T, N))))


@pytest.mark.oracles
@pytest.mark.parametrize('trace', [0.0, 0.7, 1.0])
def test_gae_against_rlax(trace):
    rlax = pytest.importorskip('rlax')
    rewards, values, next_values, terminated, _ = experience(8)
    # rlax knows no truncation and takes the next value from the values: no cut, end of an episode
    # by a discount of zero.
    last = next_values[-1]
    next_values = np.concatenate([values[1:], last[None]])
    discounts = np.where(terminated, 0.0, 0.95)
    bootstrapped = np.concatenate([values, last[None]])
    theirs = jax.vmap(
        lambda r, d, v: rlax.truncated_generalized_advantage_estimation(r, d, trace, v),
        in_axes=1,
        out_axes=1,
    )(rewards, discounts, bootstrapped)
    ours = gae(rewards, values, next_values, terminated, np.zeros((T, N), bool), 0.95, trace)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.oracles
def test_truncated_episodes_against_rlax_one_by_one():
    rlax = pytest.importorskip('rlax')
    given = experience(9, ends=0.5, n=1)
    rewards, values, next_values, terminated, truncated = (x[:, 0] for x in given)
    expected, first = [], 0
    for end in np.flatnonzero(terminated | truncated | (np.arange(T) == T - 1)):
        part = slice(first, end + 1)
        bootstrapped = np.append(values[part], next_values[end])
        discounts = np.where(terminated[part], 0.0, 0.95)
        expected.append(
            rlax.truncated_generalized_advantage_estimation(
                rewards[part], discounts, 0.8, bootstrapped
            )
        )
        first = end + 1
    ours = gae(*given, 0.95, 0.8)[:, 0]
    np.testing.assert_allclose(ours, np.concatenate(expected), rtol=1e-4, atol=1e-5)
