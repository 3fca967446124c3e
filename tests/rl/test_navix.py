"""Navix's grid worlds, against Navix's own step and picture."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.rl.envs.environment import Box, Discrete
from jaxcv.rl.envs.navix import navix

KEY = jax.random.key(4)


def test_same_as_navix():
    """Its auto-resetting step gives the same pictures, rewards and ends until the first end."""
    import navix as package

    name = 'Navix-DoorKey-5x5-v0'
    env = navix(name, max_steps=40)
    theirs = package.make(name, max_steps=40, observation_fn=package.observations.rgb)
    actions = jax.random.randint(KEY, (40,), 0, 5)

    def ours(state, action):
        result = env.step(KEY, state, action, env.params)
        return result.state, (*result[:1], *result[2:])

    def reference(step, action):
        step = theirs.step(step, action)
        return step, (step.observation, step.reward, step.step_type == 2, step.step_type == 1)

    observation, state = env.reset(KEY, env.params)
    start = theirs.reset(KEY)
    np.testing.assert_array_equal(observation, start.observation)
    ours, reference = (
        jax.jit(lambda first, f=f: jax.lax.scan(f, first, actions)[1])(first)
        for f, first in ((ours, state), (reference, start))
    )
    length = int(np.argmax(reference[2] | reference[3])) + 1
    assert length > 1 and (reference[2] | reference[3]).any()
    for a, b in zip(ours, reference, strict=True):
        np.testing.assert_array_equal(a[:length], b[:length])


def test_walk_to_the_goal():
    """Five forward, turn right, five forward: in an empty room of 8x8 that is the goal."""
    env = navix('Navix-Empty-8x8-v0')
    assert env.observation == Box((64, 64, 3), 0, 255, np.dtype(np.uint8))
    assert env.action == Discrete(7)
    step = jax.jit(env.step)
    _, state = env.reset(KEY, env.params)
    for i, action in enumerate([2] * 5 + [1] + [2] * 5):
        result = step(KEY, state, jnp.int32(action), env.params)
        state = result.state
        assert bool(result.terminated) == (i == 10) and float(result.reward) == (i == 10)
    np.testing.assert_array_equal(result.observation, env.render(state, env.params))


def test_time_limit():
    env = navix('Navix-Empty-5x5-v0', max_steps=3)
    step = jax.jit(env.step)
    _, state = env.reset(KEY, env.params)
    for late in (False, False, True):
        result = step(KEY, state, jnp.int32(0), env.params)
        state = result.state
        assert bool(result.truncated) == late and not result.terminated


@pytest.mark.parametrize(
    ('view', 'shape'), [('symbolic', (5, 5, 3)), ('rgb_first_person', (56, 56, 3))]
)
def test_other_views(view, shape):
    env = navix('Navix-Empty-5x5-v0', observation=view)
    assert env.observation.shape == jax.jit(env.reset)(KEY, env.params)[0].shape == shape


def test_errors():
    with pytest.raises(UserError, match=r'nearest of .* Navix-Empty-8x8-v0'):
        navix('Navix-Empty-8x8')
    with pytest.raises(UserError, match='max_steps, penality_coeff'):
        navix('Navix-Empty-8x8-v0', steps=3)
    with pytest.raises(UserError, match='rgb_first_person'):
        navix('Navix-Empty-8x8-v0', observation='pixels')
