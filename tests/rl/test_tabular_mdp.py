"""Markov decision processes: what is refused, and steps that follow the probabilities."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.rl.tabular import environment, worlds
from jaxcv.rl.tabular.mdp import begin, garnet, make, pick, step

TWO = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
WRONG = {
    r'transition has shape \(2, 2\)': {'transition': np.eye(2)},
    r'reward has shape \(3, 1\)': {'reward': np.zeros((3, 1))},
    r'transition at \[0, 0\] sums to 0.9': {'transition': TWO * [[[0.8, 1]], [[1, 1]]]},
    r'transition at \[0, 0, 0\] is -0.5': {'transition': [[[-0.5, 1.5]], [[0, 1]]]},
    r'transition at \[0, 0, 1\] is nan': {'transition': [[[0.5, np.nan]], [[0, 1]]]},
    r'reward at \[1, 0, 0\] is inf': {'reward': np.array([[0.0], [np.inf]])},
    'discount is 1.5': {'discount': 1.5},
    'discount is -0.1': {'discount': -0.1},
    'no terminal state can be reached from state 0': {'discount': 1.0},
    r'terminal is \[2\]': {'terminal': [2]},
    'start has shape': {'start': np.ones(3) / 3},
    'start sums to 0.7': {'start': np.array([0.7, 0.0])},
}


@pytest.mark.parametrize('message', WRONG)
def test_mistakes_are_one_sentence(message):
    right = {'transition': TWO, 'reward': np.zeros((2, 1)), 'discount': 0.9}
    make(**right)
    with pytest.raises(UserError, match=message) as caught:
        make(**right | WRONG[message])
    assert '\n' not in str(caught.value)


def test_a_terminal_state_is_absorbing_and_worth_nothing():
    mdp = make(TWO, np.ones((2, 1)), 1.0, terminal=[1])
    np.testing.assert_array_equal(mdp.transition[1], [[0, 1]])
    np.testing.assert_array_equal(mdp.reward[1], 0)
    np.testing.assert_array_equal(mdp.start, [1, 0])
    np.testing.assert_allclose(mdp.expected_reward(), [[1], [0]])


def test_unreachable_ends_are_found_behind_several_steps():
    chain = np.eye(4)[[1, 2, 3, 3]][:, None]
    make(chain, np.zeros((4, 1)), 1.0, terminal=[3])
    with pytest.raises(UserError, match='from state 1'):
        make(chain, np.zeros((4, 1)), 1.0, terminal=[0])


def test_draws_have_their_frequencies():
    share = jnp.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    n = 20_000
    found = jax.vmap(lambda level: pick(level, share))(jax.random.uniform(jax.random.key(0), (n,)))
    count = np.bincount(found, minlength=6)
    np.testing.assert_array_equal(count[[0, 2, 5]], 0)
    errors = np.sqrt(np.maximum(share * (1 - share), 1e-9) / n)
    assert (np.abs(count / n - share) < 4 * errors + 1e-6).all()


def test_steps_follow_the_dynamics():
    mdp = garnet(jax.random.key(0), 6, 2, 3, terminals=1)
    n = 20_000
    keys = jax.random.split(jax.random.key(1), n)
    after, reward, ended = jax.vmap(lambda key: step(mdp, key, jnp.int32(4), jnp.int32(1)))(keys)
    share = np.asarray(mdp.transition[4, 1])
    assert (share > 0).sum() == 3
    found = np.bincount(after, minlength=6) / n
    assert (np.abs(found - share) <= 4 * np.sqrt(share * (1 - share) / n)).all()
    np.testing.assert_array_equal(reward, mdp.reward[4, 1][after])
    np.testing.assert_array_equal(ended, after == 0)
    first = jax.vmap(lambda key: begin(mdp, key))(keys)
    assert set(np.unique(first)) == {1, 2, 3, 4, 5}


def test_random_mdps_are_proper():
    for seed in range(3):
        mdp = garnet(jax.random.key(seed), 7, 3, 4, terminals=2)
        made = make(mdp.transition, mdp.reward, 0.9, terminal=[0, 1])
        np.testing.assert_allclose(made.transition, mdp.transition)
        np.testing.assert_allclose(made.start, mdp.start)


def test_as_an_environment_it_terminates_and_truncates():
    world = worlds.world('cliff')
    env = environment.of_world(world, limit=4)
    observation, state = env.reset(jax.random.key(0), env.params)
    assert observation.shape == env.observation.shape and observation.sum() == 1
    rewards = []
    for count, action in enumerate([0, 1, 1, 2]):  # up, right, right, off the cliff
        result = env.step(jax.random.key(count), state, jnp.int32(action), env.params)
        state = result.state
        rewards.append(float(result.reward))
        assert bool(result.truncated) == (count == 3) and not result.terminated
    assert rewards == [-1, -1, -1, -100]
    assert int(result.observation.argmax()) == int(observation.argmax())
    above = np.flatnonzero((world.cells == [2, 11]).all(1))[0]
    result = env.step(jax.random.key(0), (jnp.int32(above), jnp.int32(3)), 2, env.params)
    assert result.terminated and not result.truncated
    image = env.render(state, env.params)
    assert image.dtype == jnp.uint8 and image.shape == (4 * 24, 12 * 24, 3)
