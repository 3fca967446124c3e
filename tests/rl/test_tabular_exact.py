"""Dynamic programming against linear algebra, closed forms and the theorems of chapters 3 and 4."""

import itertools

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import numpy as jnp

from jaxcv.rl.tabular import exact, worlds
from jaxcv.rl.tabular.mdp import garnet

EXAMPLES = hypothesis.settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31 - 1)


def random_mdp(seed, discount=0.9, terminals=1):
    return garnet(jax.random.key(seed), 6, 3, 3, discount, terminals)


def random_policy(seed):
    return jax.random.dirichlet(jax.random.key(seed), jnp.ones(3), (6,))


def by_hand(mdp, policy):
    """Values of a policy, in numpy and float64."""
    p, r = np.asarray(mdp.transition, float), np.asarray(mdp.reward, float)
    policy = np.asarray(policy, float)
    moves = np.einsum('sa,sap->sp', policy, p)
    gains = np.einsum('sa,sap,sap->s', policy, p, r)
    alive = ~np.asarray(mdp.terminal)
    values = np.zeros(len(p))
    system = np.eye(alive.sum()) - float(mdp.discount) * moves[np.ix_(alive, alive)]
    values[alive] = np.linalg.solve(system, gains[alive])
    return values


def best_by_hand(mdp):
    """The largest values over all deterministic policies, one after another."""
    s, a = mdp.states, mdp.actions
    every = itertools.product(range(a), repeat=s)
    return np.max([by_hand(mdp, np.eye(a)[list(choice)]) for choice in every], axis=0)


@pytest.mark.parametrize('discount', [0.5, 0.9, 0.99])
def test_evaluation_equals_linear_algebra(discount):
    with jax.enable_x64(True):
        mdp, policy = random_mdp(0, discount), random_policy(1)
        expected = by_hand(mdp, policy)
        swept = exact.evaluate(mdp, policy, tolerance=1e-10)
        np.testing.assert_allclose(swept.values, expected, atol=1e-6)
        np.testing.assert_allclose(exact.solve(mdp, policy), expected, atol=1e-10)
        assert swept.values.dtype == np.float64
    mdp = jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == float else x, mdp)
    assert exact.solve(mdp, policy.astype(jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize('seed', range(4))
def test_value_and_policy_iteration_equal_the_best_of_all_policies(seed):
    with jax.enable_x64(True):
        mdp = garnet(jax.random.key(seed), 5, 3, 3, 0.9, seed % 2)
        expected = best_by_hand(mdp)
        for found in (
            exact.value_iteration(mdp, tolerance=1e-10),
            exact.policy_iteration(mdp, tolerance=1e-10),
        ):
            np.testing.assert_allclose(found.values, expected, atol=1e-6)
            np.testing.assert_allclose(by_hand(mdp, found.policy), expected, atol=1e-6)
            assert np.abs(exact.residual(mdp, found.values)).max() < 1e-8


def test_example_3_5():
    """Figures 3.2 and 3.5, to the digit that is printed."""
    world = worlds.world('jumps')
    equal = [
        [3.3, 8.8, 4.4, 5.3, 1.5],
        [1.5, 3.0, 2.3, 1.9, 0.5],
        [0.1, 0.7, 0.7, 0.4, -0.4],
        [-1.0, -0.4, -0.4, -0.6, -1.2],
        [-1.9, -1.3, -1.2, -1.4, -2.0],
    ]
    optimal = [
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    found = exact.evaluate(world.mdp, exact.uniform(world.mdp)).values
    np.testing.assert_array_equal(np.round(world.spread(found), 1), equal)
    best = exact.value_iteration(world.mdp)
    np.testing.assert_array_equal(np.round(world.spread(best.values), 1), optimal)
    np.testing.assert_allclose(best.values.max(), 10 / (1 - 0.9**5), rtol=1e-6)
    ties = world.spread(best.policy)
    np.testing.assert_allclose(ties[0, 1], 0.25)
    np.testing.assert_allclose(ties[2, 0], [0.5, 0.5, 0, 0])


def test_example_4_1():
    """Figure 4.1: the equiprobable policy at k = 3 (to its digit) and for ever."""
    world = worlds.world('corners')
    policy = exact.uniform(world.mdp)
    final = [[0, -14, -20, -22], [-14, -18, -20, -20], [-20, -20, -18, -14], [-22, -20, -14, 0]]
    third = [
        [0.0, -2.4, -2.9, -3.0],
        [-2.4, -2.9, -3.0, -2.9],
        [-2.9, -3.0, -2.9, -2.4],
        [-3.0, -2.9, -2.4, 0.0],
    ]
    np.testing.assert_allclose(world.spread(exact.solve(world.mdp, policy)), final, atol=1e-4)
    swept = exact.evaluate(world.mdp, policy).values
    np.testing.assert_allclose(world.spread(swept), final, atol=1e-3)
    three = world.spread(exact.evaluate(world.mdp, policy, limit=3).values)
    assert np.abs(three - third).max() <= 0.0625 + 1e-6  # the book cuts 2.4375 to 2.4
    best = exact.policy_iteration(world.mdp)
    assert int(best.iterations) == 2  # greedy to the random policy is optimal already
    distance = [[0, 1, 2, 3], [1, 2, 3, 2], [2, 3, 2, 1], [3, 2, 1, 0]]
    np.testing.assert_allclose(world.spread(best.values), -np.array(distance, float))


def test_shortest_ways():
    """Example 6.5's 15 steps; example 6.6's 13."""
    for name, steps in {'windy': 15, 'cliff': 13}.items():
        mdp = worlds.world(name).mdp
        for solution in (exact.value_iteration(mdp), exact.policy_iteration(mdp)):
            np.testing.assert_allclose(solution.values @ mdp.start, -steps, rtol=1e-6)


@EXAMPLES
@hypothesis.given(seeds, st.floats(0, 0.99))
def test_operators_contract(seed, discount):
    """||Tu - Tv|| <= discount ||u - v|| in the largest entry, for all three operators."""
    mdp, policy = random_mdp(seed, discount), random_policy(seed + 1)
    u, v = 5 * jax.random.normal(jax.random.key(seed + 2), (2, 6))
    u, v = (jnp.where(mdp.terminal, 0, x) for x in (u, v))
    bound = discount * jnp.abs(u - v).max() + 1e-5
    for operator in (
        lambda x: exact.optimality(mdp, x),
        lambda x: exact.optimality(mdp, x, 0.3),
        lambda x: exact.expectation(mdp, policy, x),
    ):
        assert jnp.abs(operator(u) - operator(v)).max() <= bound
        assert (operator(jnp.maximum(u, v)) >= operator(u) - 1e-5).all()  # and they are monotone


@EXAMPLES
@hypothesis.given(seeds, st.floats(0, 0.99), st.floats(0, 1))
def test_operators_discount_a_constant(seed, discount, epsilon):
    """T(v + c) = Tv + discount c where nothing ends: the contraction is no stronger than that."""
    mdp, policy = random_mdp(seed, discount, 0), random_policy(seed + 1)
    v = jax.random.normal(jax.random.key(seed + 2), (6,))
    for operator in (
        lambda x: exact.optimality(mdp, x, epsilon),
        lambda x: exact.expectation(mdp, policy, x),
    ):
        np.testing.assert_allclose(operator(v + 3) - operator(v), 3 * discount, atol=2e-5)


@EXAMPLES
@hypothesis.given(seeds)
def test_policy_improvement(seed):
    """Greedy to a policy's values is nowhere worse, and somewhere better unless optimal (4.8)."""
    mdp, policy = random_mdp(seed), random_policy(seed + 1)
    before = by_hand(mdp, policy)
    q = exact.backup(mdp, jnp.asarray(before, jnp.float32))
    better, gain = exact.improve(policy, q)
    after = by_hand(mdp, better)
    assert (after >= before - 1e-4).all()
    assert (after.max() > before.max() + 1e-6) or (after - before).max() >= float(gain) - 1e-4
    # For epsilon-soft policies too (5.2), within their kind.
    mild = 0.7 * policy + 0.1
    q = exact.backup(mdp, jnp.asarray(by_hand(mdp, mild), jnp.float32))
    assert (by_hand(mdp, exact.soft(q, 0.3)) >= by_hand(mdp, mild) - 1e-4).all()


@EXAMPLES
@hypothesis.given(seeds, st.integers(0, 2))
def test_occupancy_weighs_rewards(seed, terminals):
    mdp, policy = random_mdp(seed, 0.9, terminals), random_policy(seed + 1)
    visits = exact.occupancy(mdp, policy)
    reward = (policy * mdp.expected_reward()).sum(-1)
    np.testing.assert_allclose(visits @ reward, mdp.start @ by_hand(mdp, policy), atol=1e-4)
    assert (visits >= -1e-6).all()
    if not terminals:
        np.testing.assert_allclose(visits.sum(), 10, rtol=1e-4)


def test_occupancy_of_a_random_walk():
    """Expected visits to the interior of 7 states from the middle: 1, 2, 3, 2, 1."""
    from jaxcv.rl.tabular.gridworld import grid

    world = grid(('G..S..G',), ends={'G': 1.0})
    sideways = jnp.tile(jnp.array([0, 0.5, 0, 0.5]), (7, 1))
    visits = exact.occupancy(world.mdp, sideways)
    np.testing.assert_allclose(visits, [0, 1, 2, 3, 2, 1, 0], atol=1e-5)


def test_the_best_soft_policy_is_a_fixed_point():
    """Values of the epsilon-greedy policy of the result are the result: nothing is better."""
    mdp = random_mdp(5)
    found = exact.value_iteration(mdp, epsilon=0.2)
    np.testing.assert_allclose(by_hand(mdp, found.policy), found.values, atol=1e-4)
    np.testing.assert_allclose(found.policy[1:].min(-1), 0.2 / 3, rtol=1e-5)
    assert (found.values <= exact.value_iteration(mdp).values + 1e-5).all()


def test_histories_have_a_fixed_size():
    mdp = random_mdp(3)
    found = exact.value_iteration(mdp, tolerance=1e-4, limit=200)
    history, count = np.asarray(found.residuals), int(found.iterations)
    assert history.shape == (200,) and np.isnan(history[count:]).all()
    assert history[count - 1] <= 1e-4 < history[count - 2]
    assert (history[1:count] <= 0.9 * history[: count - 1] + 1e-5).all()
    short = exact.value_iteration(mdp, tolerance=1e-4, limit=3)
    assert int(short.iterations) == 3 and not np.isnan(short.residuals).any()


def test_it_maps_over_mdps_and_differentiates():
    """dV/dr is the occupancy: the gradient of the start's value along each expected reward."""
    keys = jax.random.split(jax.random.key(0), 4)
    many = jax.vmap(lambda key: garnet(key, 6, 3, 3, 0.9, 1))(keys)
    together = jax.vmap(exact.policy_iteration)(many).values
    for i in range(4):
        alone = exact.policy_iteration(jax.tree.map(lambda x, i=i: x[i], many))
        np.testing.assert_allclose(together[i], alone.values, atol=1e-5)
    mdp, policy = random_mdp(0), random_policy(1)

    def start_value(reward):
        return exact.solve(mdp.replace(reward=reward), policy) @ mdp.start

    gradient = jax.grad(start_value)(mdp.reward)
    expected = exact.occupancy(mdp, policy)[:, None, None] * policy[:, :, None] * mdp.transition
    np.testing.assert_allclose(gradient[1:], expected[1:], atol=1e-5)
