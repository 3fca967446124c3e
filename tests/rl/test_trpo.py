"""TRPO: the Fisher matrix, conjugate gradients, the trust region, layouts."""

from functools import partial

import hypothesis
import jax
import numpy as np
import optax
import pytest
import scipy.special
from hypothesis import strategies as st
from jax import numpy as jnp
from jax.flatten_util import ravel_pytree
from segments import made, update

from jaxcv.errors import UserError
from jaxcv.rl import trpo
from jaxcv.rl.distributions import Categorical, Normal
from jaxcv.rl.envs.environment import Box, Discrete
from jaxcv.rl.networks import ActorCritic
from jaxcv.rl.trpo import TRPO

# A policy small enough for explicit matrices: 4 numbers seen, one hidden layer of 3.


def weights(key, outputs=3):
    keys = jax.random.split(key, 3)
    return {
        'in': 0.5 * jax.random.normal(keys[0], (4, 3)),
        'out': jax.random.normal(keys[1], (3, outputs)),
        'log_std': 0.3 * jax.random.normal(keys[2], (outputs,)),
    }


def choice(observation, params):
    return Categorical(jnp.tanh(observation @ params['in']) @ params['out'])


def number(observation, params):
    mean = jnp.tanh(observation @ params['in']) @ params['out']
    return Normal(mean, jnp.broadcast_to(params['log_std'], mean.shape))


def support(policy):
    """Samples [m b ...] and probabilities [m b] whose sums are exact expectations of polynomials
    of degree 9 of the samples: all choices, or the nodes of a Gauss-Hermite rule."""
    if isinstance(policy, Categorical):
        b, k = policy.logits.shape
        samples = jnp.broadcast_to(jnp.arange(k)[:, None], (k, b))
        return samples, jax.nn.softmax(policy.logits).T
    nodes, w = np.polynomial.hermite_e.hermegauss(5)
    z = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 1, 2)
    w = np.outer(w, w).reshape(-1, 1) / (2 * np.pi)
    samples = policy.mean + jnp.exp(policy.log_std) * z
    return samples, jnp.broadcast_to(w, samples.shape[:2])


@pytest.mark.parametrize('kind,outputs', [(choice, 3), (number, 2)])
@pytest.mark.parametrize('damping', [0.0, 0.3])
def test_fisher_product_equals_the_explicit_matrix(kind, outputs, damping):
    """E[grad log p grad log p^T], summed over all samples and observations, in double."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.float64, weights(jax.random.key(0), outputs))
        observation = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)))
        flat, unravel = ravel_pytree(params)
        act = partial(kind, observation)
        samples, probability = support(act(params))

        @jax.jit
        def explicitly():
            scores = jax.jacobian(lambda flat: jax.vmap(act(unravel(flat)).log_prob)(samples))(flat)
            return jnp.einsum('mb,mbi,mbj->ij', probability, scores, scores) / len(observation)

        @jax.jit
        def by_products():
            old = act(params)
            product = trpo.fisher(lambda params: old.kl(act(params)).mean(), params, damping)
            return jax.vmap(lambda v: ravel_pytree(product(unravel(v)))[0])(jnp.eye(len(flat)))

        explicit, found = np.asarray(explicitly()), np.asarray(by_products())
        np.testing.assert_allclose(probability.sum(0), 1)
    assert np.linalg.matrix_rank(explicit) > 3
    np.testing.assert_allclose(found, explicit + damping * np.eye(len(flat)), atol=1e-12)


# Conjugate gradients


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(seed=st.integers(0, 2**31), more=st.sampled_from([0, 20]))
def test_conjugate_gradients_equal_a_linear_solve(seed, more):
    """Also after more iterations than the problem has unknowns."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    matrix = root @ root.T + 0.5 * np.eye(6)
    b = rng.normal(size=6)
    with jax.enable_x64(True):
        x, residual = map(np.asarray, solve(jnp.asarray(matrix), jnp.asarray(b), 6 + more))
    np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(residual, b - matrix @ x, atol=1e-7)


@partial(jax.jit, static_argnums=2)
def solve(matrix, b, iterations):
    tree = {'a': b[:2].reshape(1, 2), 'b': b[2:]}
    _, unravel = ravel_pytree(tree)

    def product(v):
        return unravel(matrix @ ravel_pytree(v)[0])

    x, residual = trpo.conjugate_gradients(product, tree, iterations)
    return ravel_pytree(x)[0], ravel_pytree(residual)[0]


def test_conjugate_gradients_of_nothing_are_nothing():
    np.testing.assert_array_equal(solve(jnp.eye(6), jnp.zeros(6), 10)[0], 0.0)
    np.testing.assert_array_equal(solve(jnp.zeros((6, 6)), jnp.ones(6), 10)[0], 0.0)


def test_every_iteration_comes_nearer():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    matrix, b = root @ root.T + 0.1 * np.eye(6), rng.normal(size=6)
    exact = np.linalg.solve(matrix, b)
    found = [solve(matrix, b, i) for i in range(6)]
    errors = [np.asarray(x) - exact for x, _ in found]
    assert (np.diff([e @ matrix @ e for e in errors]) < 0).all()
    for x, residual in found[1:4]:
        np.testing.assert_allclose(residual, b - matrix @ np.asarray(x), atol=1e-4)


# The trust region

improve = jax.jit(trpo.improve, static_argnums=1)


@partial(jax.jit, static_argnums=0)
def attempt(backtracks, key, scale, bound, damping):
    """(step's outcome, exact surrogate and KL of the parameters it gave) on a random segment."""
    keys = jax.random.split(key, 4)
    params = jax.tree.map(lambda x: scale * x, weights(keys[0]))
    observation = jax.random.normal(keys[1], (10, 4))
    policy = choice(observation, params)
    action = policy.sample(policy.noise(jax.random.split(keys[2], 10)))
    log_prob = policy.log_prob(action)
    advantage = jax.random.cauchy(keys[3], (10,))
    agent = TRPO(backtracks=backtracks, bound=bound, damping=damping, normalize=False)
    act = partial(choice, observation)
    new, metrics = trpo.improve(agent, act, params, action, log_prob, advantage)
    gain = ((jnp.exp(act(new).log_prob(action) - log_prob) - 1) * advantage).mean()
    same = jax.tree.map(lambda a, b: (a == b).all(), new, params)
    return metrics, gain, policy.kl(act(new)).mean(), jnp.stack(jax.tree.leaves(same)).all()


@pytest.mark.usefixtures('optimized')
@pytest.mark.parametrize('backtracks', [1, 10])
def test_accepted_steps_respect_the_bound_and_others_change_nothing(backtracks):
    n = 1000
    rng = np.random.default_rng(2)
    scale, bound = rng.choice([0.1, 1, 5], n), rng.choice([1e-3, 1e-2, 1.0], n)
    damping = rng.choice([0.0, 1e-3, 0.1], n)
    keys = jax.random.split(jax.random.key(backtracks), n)
    metrics, gain, kl, same = jax.vmap(partial(attempt, backtracks))(keys, scale, bound, damping)
    accepted = np.asarray(metrics['step_size'] > 0)
    assert 10 < accepted.sum() < n  # both happen
    assert (kl[accepted] <= bound[accepted] * (1 + 1e-5)).all()
    assert (gain[accepted] > -1e-6).all() and (metrics['improvement'][accepted] > 0).all()
    assert same[~accepted].all() and not same[accepted].any()
    np.testing.assert_allclose(metrics['kl'], kl, rtol=1e-3, atol=1e-7)
    tried = metrics['line_search_steps']
    np.testing.assert_allclose(
        metrics['step_size'][accepted], 0.8 ** (tried[accepted] - 1), rtol=1e-4
    )
    assert (tried[~accepted] == backtracks).all()


@pytest.mark.parametrize('bad', ['zero', 'nan'])
def test_without_a_direction_nothing_changes(bad):
    observation = jax.random.normal(jax.random.key(0), (10, 4))
    params, act = weights(jax.random.key(1)), partial(choice, observation)
    policy = act(params)
    action = policy.sample(policy.noise(jax.random.split(jax.random.key(2), 10)))
    advantage = jnp.full(10, {'zero': 0.0, 'nan': jnp.nan}[bad])
    log_prob = act(params).log_prob(action)
    new, metrics = improve(TRPO(), act, params, action, log_prob, advantage)
    jax.tree.map(np.testing.assert_array_equal, new, params)
    assert metrics['step_size'] == 0 and metrics['kl'] == 0


def test_a_small_step_has_the_divergence_and_the_gain_that_it_was_given():
    """KL = bound, and gain = sqrt(2 bound g F^-1 g), to leading order."""
    with jax.enable_x64(True):
        observation = jax.random.normal(jax.random.key(3), (50, 4))
        params = jax.tree.map(jnp.float64, weights(jax.random.key(4)))
        act = partial(choice, observation)
        policy = act(params)
        action = policy.sample(policy.noise(jax.random.split(jax.random.key(5), 50)))
        advantage = jax.random.normal(jax.random.key(6), (50,))
        log_prob = act(params).log_prob(action)
        agent = TRPO(iterations=50, damping=0.0, bound=1e-6, shrink=0.99)
        _, metrics = improve(agent, act, params, action, log_prob, advantage)
        flat, unravel = ravel_pytree({k: v for k, v in params.items() if k != 'log_std'})
        old, centered = act(params), (advantage - advantage.mean()) / advantage.std()

        def gain(x):
            return (act(unravel(x)).log_prob(action) * centered).mean()

        def divergence(x):
            return old.kl(act(unravel(x))).mean()

        gradient, matrix = jax.jit(lambda x: (jax.grad(gain)(x), jax.hessian(divergence)(x)))(flat)
        natural = np.linalg.lstsq(np.asarray(matrix), np.asarray(gradient), rcond=1e-8)[0]
        expected = np.sqrt(2e-6 * np.asarray(gradient) @ natural)
        metrics = jax.device_get(metrics)
    np.testing.assert_allclose(metrics['kl'], 1e-6, rtol=0.03)
    np.testing.assert_allclose(metrics['improvement'], expected, rtol=0.03)
    assert metrics['cg_residual'] < 1e-5


def test_the_step_does_not_depend_on_how_the_policy_is_written():
    """What makes a gradient natural: the same new policy for any linear change of parameters."""
    rng = np.random.default_rng(7)
    with jax.enable_x64(True):
        logits, mixing = jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.normal(size=(4, 4)))
        action = jnp.asarray(rng.integers(0, 4, 20))
        advantage = jnp.asarray(rng.normal(size=20))
        agent = TRPO(damping=0.0, iterations=30)

        def stepped(matrix):
            def act(params):
                return Categorical(jnp.broadcast_to(matrix @ params, (20, 4)))

            params = jnp.linalg.solve(matrix, logits)
            log_prob = act(params).log_prob(action)
            new, _ = improve(agent, act, params, action, log_prob, advantage)
            return scipy.special.softmax(np.asarray(matrix @ new))

        plain, mixed = stepped(jnp.eye(4)), stepped(mixing)
    assert abs(plain - scipy.special.softmax(logits)).max() > 0.01
    np.testing.assert_allclose(mixed, plain, atol=1e-6)


# One update

CASES = {'choices': ('', Discrete(3)), 'recurrent': ('gru', Box((2,), -1.0, 1.0))}
# Few iterations, since conjugate gradients amplify rounding.
AGENT = TRPO(steps=8, epochs=4, minibatches=2, iterations=4, damping=0.1)


@pytest.mark.parametrize('case,layout', [('choices', 'pmap'), ('recurrent', 'mesh')])
def test_layouts_agree_with_one_device(case, layout):
    memory, action = CASES[case]
    case = made(memory=memory, action=action)
    sgd = optax.sgd(1.0)
    expected, reference = update(trpo, AGENT, sgd, case, rate=0.05)
    found, metrics = update(trpo, AGENT, sgd, case, layout, rate=0.05)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4), found, expected
    )
    assert reference['step_size'] > 0
    # It is a mean over devices of what each explains.
    metrics.pop('explained_variance'), reference.pop('explained_variance')
    for name in reference.keys() - {'cg_residual'}:
        np.testing.assert_allclose(
            metrics[name], reference[name], rtol=1e-2, atol=1e-6, err_msg=name
        )


def test_the_optimizer_trains_the_critic_alone():
    params, network, segment, carry = case = made()
    agent = AGENT.replace(bound=-1.0)  # no divergence is below
    assert trpo.start(optax.adam(1.0), params, 0.1).opt[0].mu.keys() == params['critic'].keys()
    new, metrics = update(trpo, agent, optax.adam(1.0), case, rate=0.01)
    assert metrics['step_size'] == 0 and metrics['line_search_steps'] == agent.backtracks
    jax.tree.map(np.testing.assert_array_equal, new['actor'], params['actor'])
    target = trpo.lessons(agent, segment).target

    def error(params):
        value = network(params, segment.observation, segment.start, carry)[1]
        return float(jnp.square(value - target).mean())

    assert error(new) < 0.98 * error(params)


def test_a_shared_trunk_is_refused():
    net = ActorCritic(action=Discrete(2), encoder={'name': 'mlp'}, shared=True)
    inputs = jnp.zeros((1, 1, 4)), jnp.ones((1, 1), bool), ()
    params = net.init(jax.random.key(0), *inputs)['params']
    with pytest.raises(UserError, match=r'config\.model\.shared'):
        trpo.start(optax.adam(1.0), params, 0.1)
    with pytest.raises(UserError, match='does not divide'):
        trpo.check(TRPO(steps=10, minibatches=4), 8, False)
