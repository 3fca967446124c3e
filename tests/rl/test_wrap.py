"""Wrappers of environments, around one that is easy to see through."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.rl.envs import wrap
from jaxcv.rl.envs.environment import Box, Discrete, Environment, Step
from jaxcv.rl.envs.gymnax import gymnax
from jaxcv.rl.envs.vector import vectorize

KEY = jax.random.key(0)


def counter(end: int = 1000) -> Environment:
    """Observes (start + time, action); terminates at `end`. `start` is drawn from the key."""

    def see(state, action):
        return jnp.stack([state.sum().astype(jnp.float32), jnp.float32(action)])

    def reset(key, params):
        state = jnp.stack([jax.random.randint(key, (), 100, 10000), 0])
        return see(state, 0), state

    def step(key, state, action, params):
        state = state + jnp.array([0, 1])
        done = state[1] >= end
        return Step(see(state, action), state, jnp.float32(action), done, jnp.array(False))

    def render(state, params):
        ramp = jnp.arange(12 * 16 * 3).reshape(12, 16, 3) + state[1]
        return ramp.astype(jnp.uint8)

    return Environment(
        name='counter',
        observation=Box((2,)),
        action=Discrete(3),
        params=None,
        reset=reset,
        step=step,
        render=render,
    )


def play(env, actions):
    """The first observation, and what each action led to."""
    first, state = env.reset(KEY, env.params)

    def body(state, action):
        result = env.step(KEY, state, action, env.params)
        return result.state, result

    return first, jax.jit(lambda: jax.lax.scan(body, state, actions)[1])()


def test_time_limit_truncates_and_does_not_hide_the_end():
    _, result = play(wrap.time_limit(counter(end=3), 3), jnp.zeros(3, int))
    np.testing.assert_array_equal(result.terminated, [0, 0, 1])
    assert not result.truncated.any()
    _, result = play(wrap.time_limit(counter(), 3), jnp.zeros(4, int))
    np.testing.assert_array_equal(result.truncated, [0, 0, 1, 1])


def test_time_limit_starts_again_at_reset():
    envs = vectorize(wrap.time_limit(counter(), 3))
    keys = jax.random.split(KEY, 2)
    _, state = envs.reset(keys)
    ends = []
    for i in range(7):
        result = envs.step(jax.random.split(jax.random.key(i), 2), state, jnp.zeros(2, int))
        state = result.state
        ends.append(result.truncated.all())
    np.testing.assert_array_equal(ends, [0, 0, 1, 0, 0, 1, 0])


def test_frame_stack_is_the_last_observations_oldest_first():
    env = wrap.frame_stack(counter(), 3)
    assert env.observation.shape == (6,)
    first, result = play(env, jnp.array([1, 2, 1, 2]))
    start = first[0]
    np.testing.assert_array_equal(first, [start, 0] * 3)
    np.testing.assert_array_equal(result.observation[0], [start, 0, start, 0, start + 1, 1])
    np.testing.assert_array_equal(result.observation[3], [start + 2, 2, start + 3, 1, start + 4, 2])


def test_frame_stack_restarts_at_reset_but_ends_with_the_true_frames():
    envs = vectorize(wrap.frame_stack(counter(end=4), 2))
    first, state = envs.reset(jax.random.split(KEY, 2))
    for i in range(4):
        keys = jax.random.split(jax.random.key(i), 2)
        result = envs.step(keys, state, jnp.array([1, 2]))
        state = result.state
    assert result.terminated.all()
    np.testing.assert_array_equal(result.final[:, 2] - first[:, 0], [4, 4])
    np.testing.assert_array_equal(result.final[:, 0] - first[:, 0], [3, 3])
    fresh = result.observation
    np.testing.assert_array_equal(fresh[:, :2], fresh[:, 2:])  # nothing of the old episode
    assert (fresh[:, 1] == 0).all() and (fresh[:, 0] != first[:, 0]).all()


def test_pixels_gray_and_stack_together():
    env = gymnax('CartPole-v1')
    env = wrap.frame_stack(wrap.gray(wrap.pixels(env, (24, 32))), 4)
    assert env.observation == Box((24, 32, 4), 0, 255, np.uint8)
    envs = vectorize(env)
    seeds = jax.random.split(KEY, (3, 2))
    first, state = jax.jit(jax.vmap(envs.reset))(seeds)  # vmapped twice: seeds, environments
    result = jax.jit(jax.vmap(envs.step))(seeds, state, jnp.ones((3, 2), int))
    assert first.shape == result.observation.shape == (3, 2, 24, 32, 4)
    assert result.observation.dtype == jnp.uint8
    np.testing.assert_array_equal(result.observation[..., :3], first[..., 1:])
    assert (result.observation[..., 3] != first[..., 3]).any()
    assert jax.vmap(envs.render)(state).shape == (3, 2, 96, 128, 3)  # people see it whole


def test_pixels_show_the_state_after_the_step():
    first, result = play(wrap.pixels(counter()), jnp.zeros(2, int))
    ramp = np.arange(12 * 16 * 3).reshape(12, 16, 3)
    np.testing.assert_array_equal(first, ramp.astype(np.uint8))
    np.testing.assert_array_equal(result.observation[1], (ramp + 2).astype(np.uint8))


def test_gray_is_brightness():
    env = wrap.gray(wrap.pixels(counter()))
    colors = np.asarray(wrap.pixels(counter()).reset(KEY, None)[0], np.float64)
    expected = colors @ np.array([0.299, 0.587, 0.114])
    observed = env.reset(KEY, None)[0]
    assert observed.dtype == jnp.uint8 and observed.shape == env.observation.shape == (12, 16, 1)
    np.testing.assert_allclose(observed[..., 0], expected, atol=0.51)


@pytest.mark.parametrize('size', [(6, 8), (5, 7), (24, 32)])
def test_resize_equals_jax_image(size):
    env = wrap.resize(wrap.pixels(counter()), size)
    picture = wrap.pixels(counter()).reset(KEY, None)[0].astype(jnp.float32)
    expected = jax.image.resize(picture, (*size, 3), 'linear', antialias=True)
    np.testing.assert_allclose(env.reset(KEY, None)[0], expected, atol=0.51)


def test_scale_action():
    env = dataclasses.replace(counter(), action=Box((), -1.0, 3.0))
    scaled = wrap.scale_action(env)
    assert (scaled.action.low, scaled.action.high) == (-1, 1)
    _, result = play(scaled, jnp.array([-1.0, 0.0, 0.5, 1.0, 7.0]))
    np.testing.assert_allclose(result.reward, [-1, 1, 2, 3, 3])


def test_errors():
    with pytest.raises(UserError, match='put the wrapper `pixels` before it'):
        wrap.gray(counter())
    with pytest.raises(UserError, match='bounded continuous actions'):
        wrap.scale_action(counter())
    with pytest.raises(UserError, match='no picture'):
        wrap.pixels(dataclasses.replace(counter(), render=None))
    with pytest.raises(UserError, match='frame_stack needs arrays'):
        wrap.frame_stack(dataclasses.replace(counter(), observation=Discrete(3)), 2)
