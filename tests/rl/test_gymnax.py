"""gymnax's environments: against Gymnasium's, and what gymnax does that one has to know."""

import gymnasium
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.rl.envs.environment import Box, Discrete
from jaxcv.rl.envs.gymnax import gymnax

KEY = jax.random.key(0)
STEPS = 360

# How Gymnasium's state becomes gymnax's, and how far one float32 step may be from it.
CLASSIC = {
    'CartPole-v1': (('x', 'x_dot', 'theta', 'theta_dot'), 1e-5),
    'Pendulum-v1': (('theta', 'theta_dot'), 1e-5),
    'Acrobot-v1': (('joint_angle1', 'joint_angle2', 'velocity_1', 'velocity_2'), 1e-4),
    'MountainCar-v0': (('position', 'velocity'), 1e-6),
}


def placed(state, fields, values):
    """The state with these fields."""
    return state.replace(**{f: jnp.float32(v) for f, v in zip(fields, values, strict=True)})


def world(theirs):
    """The state of a Gymnasium environment."""
    return np.array(theirs.unwrapped.state, np.float64).copy()


@pytest.mark.parametrize('name', CLASSIC)
def test_same_dynamics_as_gymnasium(name):
    """From the same state and action: the same observation, reward and termination."""
    fields, tolerance = CLASSIC[name]
    env, theirs, rng = gymnax(name), gymnasium.make(name), np.random.default_rng(0)
    step = jax.jit(env.step)
    theirs.reset(seed=0)
    _, blank = env.reset(KEY, env.params)
    ends = set()
    for i in range(STEPS):
        if isinstance(env.action, Discrete):
            along = int(world(theirs)[-1] > 0) * (env.action.n - 1)  # gains energy, and so ends
            action = int(rng.integers(env.action.n)) if i % 4 == 0 else along
            ours = jnp.int32(action)
        else:
            action = rng.uniform(1.5 * env.action.low, 1.5 * env.action.high, 1).astype(np.float32)
            ours = jnp.array(action)
        result = step(KEY, placed(blank, fields, world(theirs)), ours, env.params)
        observation, reward, terminated, truncated, _ = theirs.step(action)
        np.testing.assert_allclose(result.observation, observation, atol=20 * tolerance)
        np.testing.assert_allclose(result.reward, reward, atol=10 * tolerance)
        assert bool(result.terminated) == terminated
        if terminated or truncated:
            ends.add('terminated' if terminated else 'truncated')
            theirs.reset(seed=i)
    assert ends == {'truncated' if name == 'Pendulum-v1' else 'terminated'}


@pytest.mark.parametrize('name', ['CartPole-v1', 'Pendulum-v1', 'MountainCar-v0'])
def test_same_trajectory_as_gymnasium(name):
    """Not only single steps: many in a row, from one state."""
    fields, _ = CLASSIC[name]
    env, theirs = gymnax(name), gymnasium.make(name)
    theirs.reset(seed=3)
    _, state = env.reset(KEY, env.params)
    state = placed(state, fields, world(theirs))
    step = jax.jit(env.step)
    for i in range(40):
        action = i // 2 % 2 if isinstance(env.action, Discrete) else np.float32([np.sin(i)])
        result = step(KEY, state, jnp.asarray(action), env.params)
        state = result.state
        observation, _, terminated, _, _ = theirs.step(action)
        np.testing.assert_allclose(result.observation, observation, atol=2e-3)
        assert bool(result.terminated) == terminated
        if terminated:
            break
    assert i > 10


def rollout(env, action, steps):
    """Flags and rewards under one action, without reset."""

    def body(state, key):
        result = env.step(key, state, action, env.params)
        return result.state, result

    return jax.jit(
        lambda: jax.lax.scan(body, env.reset(KEY, env.params)[1], jax.random.split(KEY, steps))[1]
    )()


def test_time_limit_truncates_once():
    result = rollout(gymnax('Pendulum-v1'), jnp.zeros(1), 200)
    np.testing.assert_array_equal(np.flatnonzero(result.truncated), [199])
    assert not result.terminated.any()


def test_parameters_replace_those_of_gymnax():
    result = rollout(gymnax('Pendulum-v1', max_steps_in_episode=7), jnp.zeros(1), 7)
    np.testing.assert_array_equal(np.flatnonzero(result.truncated), [6])
    assert gymnax('Breakout-MinAtar').action == Discrete(3)
    assert gymnax('Breakout-MinAtar', use_minimal_action_set=False).action == Discrete(6)
    assert gymnax('MemoryChain-bsuite', num_bits=3, memory_length=9).observation.shape == (5,)


def test_terminated_beats_truncated():
    """A pole that falls in the last allowed step has fallen."""
    env = gymnax('CartPole-v1')
    fall = int(np.argmax(rollout(env, jnp.int32(1), 50).terminated)) + 1
    result = rollout(gymnax('CartPole-v1', max_steps_in_episode=fall), jnp.int32(1), fall)
    assert result.terminated[-1] and not result.truncated.any()
    # Gymnasium's convention: the step that fails is still rewarded.
    np.testing.assert_array_equal(result.reward, 1)


def test_spaces():
    assert gymnax('Pendulum-v1').action == Box((1,), -2.0, 2.0)
    assert gymnax('CartPole-v1').action == Discrete(2)
    breakout = gymnax('Breakout-MinAtar')
    assert breakout.observation == Box((10, 10, 4), 0.0, 1.0)
    assert gymnax('FrozenLake-misc').observation == Box((16,), 0.0, 1.0)  # one-hot
    observation, _ = breakout.reset(KEY, breakout.params)
    assert observation.dtype == jnp.float32


@pytest.mark.parametrize('name', ['Breakout-MinAtar', 'UmbrellaChain-bsuite', 'FourRooms-misc'])
def test_types_stay_the_same(name):
    """A scan carries the state: its types, and those of what a step gives, never change."""
    env = gymnax(name)
    first, state = jax.eval_shape(env.reset, KEY, env.params)
    result = jax.eval_shape(env.step, KEY, state, jnp.int32(0), env.params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype, x.weak_type), result.state
    )
    assert first.dtype == result.observation.dtype == result.reward.dtype == jnp.float32
    assert result.terminated.dtype == result.truncated.dtype == bool
    assert first.shape == result.observation.shape == env.observation.shape


def test_memory_chain_shows_then_asks():
    """As in bsuite: a step shows the state before it, so that the cue is seen twice, and the
    answer counts in the step after the question."""
    env = gymnax('MemoryChain-bsuite', memory_length=4)
    result = rollout(env, jnp.int32(1), 5)
    cue = result.observation[:, 2]
    assert abs(cue[0]) == 1 and not cue[1:].any()
    np.testing.assert_array_equal(result.terminated, [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(result.reward[:4], 0)
    assert result.reward[4] == cue[0]  # the action is always 1
    assert env.observation.low == -1  # gymnax says 0


def test_continuous_mountain_car_has_no_wall():
    """gymnax keeps the velocity of a car that hits the left wall; Gymnasium stops it."""
    env, theirs = gymnax('MountainCarContinuous-v0'), gymnasium.make('MountainCarContinuous-v0')
    theirs.reset(seed=0)
    theirs.unwrapped.state = np.array([-1.19, -0.05], np.float32)
    _, state = env.reset(KEY, env.params)
    state = placed(state, ('position', 'velocity'), (-1.19, -0.05))
    ours = env.step(KEY, state, jnp.zeros(1), env.params).observation
    stopped = theirs.step(np.zeros(1, np.float32))[0]
    assert ours[0] == pytest.approx(-1.2) and ours[1] < -0.04
    np.testing.assert_allclose(stopped, [-1.2, 0], atol=1e-6)


def test_errors():
    with pytest.raises(UserError, match="did you mean 'CartPole-v1'"):
        gymnax('Cartpole-v1')
    with pytest.raises(UserError, match='max_steps_in_episode, memory_length, num_bits'):
        gymnax('MemoryChain-bsuite', length=3)
