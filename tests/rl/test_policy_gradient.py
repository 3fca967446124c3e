"""REINFORCE and actor-critic: the gradient in closed form, rlax's losses, layouts."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp
from segments import made, update

from jaxcv.rl import actor_critic, policy_gradient, reinforce, rollout
from jaxcv.rl.actor_critic import ActorCritic
from jaxcv.rl.distributions import Categorical
from jaxcv.rl.envs.environment import Box, Discrete, Environment, Step
from jaxcv.rl.envs.vector import vectorize
from jaxcv.rl.lessons import lessons
from jaxcv.rl.reinforce import Reinforce

# Two states, two actions, episodes of HORIZON steps.
HORIZON = 6
FIRST = jnp.array([0.6, 0.4])
MOVES = jnp.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.1, 0.9]]])  # [state action next]
REWARD = jnp.array([[0.0, 1.0], [2.0, -0.5]])  # [state action]
LOGITS = jnp.array([[0.3, -0.2], [-0.4, 0.5]])
PLAIN = {'normalize': False, 'discount': 1.0, 'value_weight': 0.0, 'entropy': 0.0}


def values(logits, horizon=HORIZON):
    """V_t(s) for t = 0, ..., horizon, by Bellman's recursion from the end: [horizon + 1, 2]."""
    policy = jax.nn.softmax(logits)
    found = [jnp.zeros(2)]
    for _ in range(horizon):
        found.append((policy * (REWARD + MOVES @ found[-1])).sum(1))
    return jnp.stack(found[::-1])


def analytic(limit=HORIZON):
    """Gradient of the expected return in the logits of the first `limit` steps of an episode."""

    def expected(logits):
        rest = jax.lax.stop_gradient(values(LOGITS)[limit])
        policy, state, total = jax.nn.softmax(logits), FIRST, 0.0
        for _ in range(limit):
            both = state[:, None] * policy
            total += (both * REWARD).sum()
            state = jnp.einsum('sa,san->n', both, MOVES)
        return total + state @ rest

    return jax.grad(expected)(LOGITS)


def world(limit=HORIZON):
    """The two states as an environment, cut off after `limit` steps. Sees (state, time)."""

    def reset(key, params):
        seen = jnp.stack([jax.random.categorical(key, jnp.log(FIRST)), 0]).astype(jnp.float32)
        return seen, seen

    def step(key, state, action, params):
        here, time = state.astype(jnp.int32)
        there = jax.random.categorical(key, jnp.log(MOVES[here, action]))
        seen = jnp.stack([there, time + 1]).astype(jnp.float32)
        ended = time + 1 == HORIZON
        return Step(seen, seen, REWARD[here, action], ended, (time + 1 == limit) & ~ended)

    return Environment(
        name='two states',
        observation=Box((2,)),
        action=Discrete(2),
        params=None,
        reset=reset,
        step=step,
    )


def network(params, observation, start, carry):
    state, time = observation[..., 0].astype(jnp.int32), observation[..., 1].astype(jnp.int32)
    return Categorical(params['actor'][state]), params['critic'][time, state], carry


@partial(jax.jit, static_argnames=('algorithm', 'limit'))
def one_segment(algorithm, agent, critic, actors, key, limit):
    """(actors, the gradient that each environment estimates, the step that `learn` makes)."""
    params, sgd = {'actor': LOGITS, 'critic': critic}, optax.sgd(1.0)
    actors, segment, _ = rollout.collect(
        vectorize(world(limit)), partial(network, params), actors, key, agent.steps
    )
    lesson = lessons(agent, segment)
    if not getattr(agent, 'baseline', True):
        lesson = lesson._replace(advantage=lesson.target)

    def own(lesson):
        lesson = jax.tree.map(lambda x: x[:, None], lesson)
        grads, _ = jax.grad(policy_gradient.loss, has_aux=True)(params, agent, network, lesson, ())
        return -agent.steps * grads['actor']

    learner = algorithm.start(sgd, params, 1.0)
    learned, _ = algorithm.learn(agent, sgd, network, learner, segment, (), key)
    moved = agent.steps * (learned.params['actor'] - LOGITS)
    return actors, jax.vmap(own, 1)(lesson), moved


def estimates(algorithm, agent, critic, limit=HORIZON, segments=1, n=30_000):
    """Mean and standard error of the estimated gradient of an episode's return, [2, 2] each.

    Every environment gives one estimate: the sum over its steps, of as many segments as are needed
    to come to the end of an episode."""
    keys = jax.random.split(jax.random.key(0), segments + 1)
    actors = rollout.enter(vectorize(world(limit)), jax.random.split(keys[0], n), ())
    total = 0.0
    for key in keys[1:]:
        actors, each, moved = one_segment(algorithm, agent, critic, actors, key, limit)
        # What `learn` does with the optimizer is the mean of the estimates.
        np.testing.assert_allclose(moved, each.mean(0), rtol=1e-3, atol=1e-4)
        total += np.asarray(each)
    return total.mean(0), total.std(0) / np.sqrt(n)


EXACT = values(LOGITS)
WRONG = 2 - 3 * EXACT


def agrees(found, error, expected):
    """Within 4 standard errors, which are small against the gradient itself."""
    assert error.max() < 0.05 * abs(expected).max()
    return (abs(found - expected) < 4 * error).all()


@pytest.mark.parametrize('baseline', [True, False])
def test_reinforce_is_unbiased_whatever_the_baseline(baseline):
    agent = Reinforce(steps=HORIZON, baseline=baseline, **PLAIN)
    found, error = estimates(reinforce, agent, WRONG)
    assert agrees(found, error, analytic())


def test_a_good_baseline_lowers_the_variance():
    with_it, without = (
        estimates(reinforce, Reinforce(steps=HORIZON, baseline=on, **PLAIN), EXACT)[1]
        for on in (True, False)
    )
    assert (with_it < 0.9 * without).all()


@pytest.mark.parametrize('trace', [0.0, 0.7, 1.0])
def test_actor_critic_with_the_true_values_is_unbiased(trace):
    agent = ActorCritic(steps=HORIZON, trace=trace, **PLAIN)
    assert agrees(*estimates(actor_critic, agent, EXACT), analytic())


def test_actor_critic_over_cut_segments_is_unbiased():
    """3 segments of 4 steps are 2 episodes of 6: the critic stands for what is behind a segment."""
    agent = ActorCritic(steps=4, trace=0.7, **PLAIN)
    assert agrees(*estimates(actor_critic, agent, EXACT, segments=3), 2 * analytic())


def test_truncated_episodes_are_unbiased():
    agent = ActorCritic(steps=4, trace=0.7, **PLAIN)
    assert agrees(*estimates(actor_critic, agent, EXACT, limit=4), analytic(limit=4))


def test_the_test_notices_bias():
    """One-step errors of a wrong critic are biased, and the sample is large enough to see it."""
    agent = ActorCritic(steps=HORIZON, trace=0.0, **PLAIN)
    found, error = estimates(actor_critic, agent, WRONG)
    assert (abs(found - analytic()) > 8 * error).any()


# One update

BOX = Box((2,), -1.0, 1.0)
CASES = [
    (reinforce, Reinforce(steps=8), ''),
    (actor_critic, ActorCritic(steps=8, normalize=True), 'gru'),
]


@pytest.mark.parametrize('layout', ['pmap', 'mesh'])
@pytest.mark.parametrize('algorithm,agent,memory', CASES, ids=['reinforce', 'recurrent'])
def test_layouts_agree_with_one_device(algorithm, agent, memory, layout):
    case = made(memory=memory, action=BOX)
    sgd = optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(1.0))
    expected, reference = update(algorithm, agent, sgd, case, rate=0.1)
    found, metrics = update(algorithm, agent, sgd, case, layout, rate=0.1)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected
    )
    # It is a mean over devices of what each explains.
    metrics.pop('explained_variance'), reference.pop('explained_variance')
    for name, value in reference.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-3, atol=1e-6, err_msg=name)


def test_a_step_makes_good_actions_likelier():
    params, network, segment, carry = case = made()
    agent = Reinforce(steps=8, value_weight=0.0)
    new, metrics = update(reinforce, agent, optax.sgd(1.0), case, rate=0.05)
    policy, *_ = network(new, segment.observation, segment.start, carry)
    advantage = lessons(agent, segment).advantage
    advantage = (advantage - advantage.mean()) / advantage.std()
    gain = ((policy.log_prob(segment.action) - segment.log_prob) * advantage).mean()
    np.testing.assert_allclose(gain, 0.05 * metrics['grad_norm'] ** 2, rtol=0.1)  # first order
    old, *_ = network(params, segment.observation, segment.start, carry)
    np.testing.assert_allclose(metrics['kl'], old.kl(policy).mean(), rtol=1e-3)
    jax.tree.map(np.testing.assert_array_equal, new['critic'], params['critic'])


def test_parts_of_the_loss():
    params, network, segment, carry = made()
    agent = ActorCritic(value_weight=0.3, entropy=0.2)
    total, (parts, _) = policy_gradient.loss(params, agent, network, lessons(agent, segment), carry)
    assert total == parts['loss']
    combined = parts['policy_loss'] + 0.3 * parts['value_loss'] - 0.2 * parts['entropy']
    np.testing.assert_allclose(total, combined, rtol=1e-6)


@pytest.mark.oracles
def test_loss_and_gradients_against_rlax():
    rlax = pytest.importorskip('rlax')
    params, network, segment, carry = made(seed=3)
    segment = segment._replace(  # rlax knows no truncation
        truncated=jnp.zeros_like(segment.truncated),
        next_value=jnp.concatenate([segment.value[1:], segment.next_value[-1:]]),
    )
    agent = ActorCritic(value_weight=0.3, entropy=0.2, trace=0.9, discount=0.95)
    lesson = lessons(agent, segment)
    discounts = jnp.where(segment.terminated, 0.0, 0.95)

    def theirs(params):
        policy, value, _ = network(params, lesson.observation, lesson.start, carry)
        logits, action = policy.logits.reshape(-1, 3), lesson.action.ravel()
        ones = jnp.ones(len(action))
        behind = jnp.concatenate([value, segment.next_value[-1:]])
        errors = jax.vmap(
            lambda r, d, v: rlax.td_lambda(v[:-1], r, d, v[1:], 0.9), in_axes=1, out_axes=1
        )(segment.reward, discounts, behind)
        policy_loss = rlax.policy_gradient_loss(logits, action, lesson.advantage.ravel(), ones)
        entropy_loss = rlax.entropy_loss(logits, ones)
        return policy_loss + 0.3 * rlax.l2_loss(errors).mean() + 0.2 * entropy_loss

    ours, grads = jax.value_and_grad(
        lambda params: policy_gradient.loss(params, agent, network, lesson, carry)[0]
    )(params)
    expected, their_grads = jax.value_and_grad(theirs)(params)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), grads, their_grads
    )
