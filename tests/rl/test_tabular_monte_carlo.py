"""Prediction from samples: within standard errors of the exact values."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.rl.tabular import exact, monte_carlo, temporal
from jaxcv.rl.tabular.mdp import garnet, make
from jaxcv.rl.tabular.table import Agent

SIDEWAYS = jnp.full((7, 2), 0.5)


def random_walk():
    """Example 6.2: five states between two ends, 1 for leaving on the right: worth 1/6 to 5/6."""
    transition = np.zeros((7, 2, 7))
    for state in range(1, 6):
        transition[state, 0, state - 1] = transition[state, 1, state + 1] = 1
    transition[[0, 6]] = np.eye(7)[[0, 6]][:, None]
    reward = np.zeros((7, 2, 7))
    reward[5, 1, 6] = 1
    return make(transition, reward, 1.0, terminal=[0, 6], start=np.eye(7)[3])


def endings():
    """A random MDP whose episodes end soon, and a policy."""
    mdp = garnet(jax.random.key(0), 6, 3, 3, 0.9, terminals=2)
    return mdp, jax.random.dirichlet(jax.random.key(1), jnp.ones(3), (6,))


def scores(found, values, where):
    """Deviations in standard errors."""
    return np.asarray((found.values - values) / found.errors)[where]


@pytest.mark.parametrize('first', [True, False], ids=['first', 'every'])
def test_monte_carlo_is_within_its_standard_errors(first):
    keys = jax.random.split(jax.random.key(2), 4096)
    found = monte_carlo.predict(random_walk(), SIDEWAYS, keys, 150, first)
    inside = slice(1, 6)
    assert found.cut == 0
    z = scores(found, np.arange(7) / 6, inside)
    assert np.abs(z).max() < 4 and (found.errors[inside] < 0.02).all()
    assert np.isnan(found.values[0]) and found.visits[3] >= 4096
    assert (found.visits[3] == 4096) == first

    mdp, policy = endings()
    found = monte_carlo.predict(mdp, policy, keys, 200, first)
    assert np.abs(scores(found, exact.solve(mdp, policy), slice(2, 6))).max() < 4


def test_standard_errors_are_those_of_repetition():
    """The spread of 200 estimates is what each of them states, for every visits too."""
    mdp, policy = endings()
    keys = jax.random.split(jax.random.key(3), (200, 64))
    for first in (True, False):
        found = jax.vmap(lambda k, f=first: monte_carlo.predict(mdp, policy, k, 100, f))(keys)
        stated = np.sqrt(np.square(found.errors[:, 2:]).mean(0))
        np.testing.assert_allclose(found.values[:, 2:].std(0), stated, rtol=0.2)


def test_first_and_every_visits_differ_by_hand():
    """One state that is left with probability 1/2: the single episode decides both averages."""
    mdp = make([[[0.5, 0.5]], [[0, 1]]], [[1.0], [0]], 1.0, terminal=[1])
    policy = jnp.ones((2, 1))
    key = next(
        key
        for key in jax.random.split(jax.random.key(0), 50)
        if monte_carlo.episode(mdp, policy, key, 20).valid.sum() == 3
    )
    first = monte_carlo.predict(mdp, policy, key[None], 20, True)
    every = monte_carlo.predict(mdp, policy, key[None], 20, False)
    assert (first.values[0], every.values[0]) == (3, 2)  # returns 3, 2, 1
    assert (first.visits[0], every.visits[0]) == (1, 3)


def test_an_episode_that_is_cut_off_keeps_its_future():
    """With the exact values as its tail, no estimate is biased; with none, it is, and says so."""
    mdp = garnet(jax.random.key(0), 6, 3, 3, 0.9)
    mdp = mdp.replace(reward=jnp.abs(mdp.reward))
    policy = exact.uniform(mdp)
    values = exact.solve(mdp, policy)
    keys = jax.random.split(jax.random.key(4), 4096)
    found = monte_carlo.predict(mdp, policy, keys, 5, tail=values)
    assert found.cut == 1
    assert np.abs(scores(found, values, slice(None))).max() < 4
    blind = monte_carlo.predict(mdp, policy, keys, 5)
    assert (scores(blind, values, slice(None)) < -20).all()


def test_returns_and_first_visits_equal_loops():
    mdp, policy = endings()
    for seed in range(5):
        played = monte_carlo.episode(mdp, policy, jax.random.key(seed), 12)
        total = 0.0 if played.terminated else 2.0
        expected = np.zeros(12)
        for t in reversed(range(12)):
            total = expected[t] = played.reward[t] + 0.9 * total * (played.valid[t])
            total = total if played.valid[t] else 0.0 if played.terminated else 2.0
        found = monte_carlo.returns(played, mdp.discount, 2.0)
        np.testing.assert_allclose(found[played.valid], expected[played.valid], rtol=1e-5)
        seen, first = set(), []
        for state, valid in zip(played.state.tolist(), played.valid.tolist(), strict=True):
            first.append(valid and state not in seen)
            seen.add(state)
        np.testing.assert_array_equal(
            monte_carlo.first_visits(played.state, played.valid, 6), first
        )


def cut_short():
    return *endings(), 4


@pytest.mark.parametrize(
    ('problem', 'inside'),
    [(lambda: (random_walk(), SIDEWAYS, 10_000), slice(1, 6)), (cut_short, slice(2, 6))],
    ids=['random walk', 'episodes cut off after 4 steps'],
)
def test_td_is_within_its_standard_errors(problem, inside):
    """The mean of TD(0) over 48 runs, whose spread gives its error."""
    mdp, policy, limit = problem()
    agent, keys = Agent(step_size=1.0, step_power=0.6), jax.random.split(jax.random.key(5), 48)

    def run(key):
        return temporal.predict(mdp, policy, agent, key, 10_000, limit=limit)

    found = jax.vmap(run)(keys)
    errors = found.std(0)[inside] / np.sqrt(len(keys) - 1)
    z = (found.mean(0) - exact.solve(mdp, policy))[inside] / errors
    assert np.abs(z).max() < 4, z
    assert (errors < 0.02).all(), errors


def test_td_by_hand():
    """A chain of two steps with reward 1 at its end, step size 1/2: V(1) = 1 - 2^-k after k
    episodes, and V(0) follows half of what V(1) was."""
    chain = np.eye(3)[[1, 2, 2]][:, None]
    mdp = make(chain, [[0.0], [1], [0]], 1.0, terminal=[2], start=[1, 0, 0])
    last, before = 0.0, 0.0
    for _ in range(4):
        before += 0.5 * (last - before)
        last += 0.5 * (1 - last)
    agent = Agent(step_size=0.5)
    found = temporal.predict(mdp, jnp.ones((3, 1)), agent, jax.random.key(0), 8)
    np.testing.assert_allclose(found, [before, last, 0], rtol=1e-6)
