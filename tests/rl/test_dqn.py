"""Deep Q-learning: its targets, its loss, and what it learns."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

import experiments
from jaxcv.errors import UserError
from jaxcv.rl import dqn
from jaxcv.rl.replay import Sample
from jaxcv.train import config as configs
from jaxcv.train import program, run

pytestmark = pytest.mark.usefixtures('optimized')
CARTPOLE = 'configs/rl/dqn_cartpole.py'
SMALL = {
    'train.steps': 6, 'train.batch_size': 8, 'model.widths': (8,), 'agent.warmup': 16,
    'agent.batch': 16, 'agent.capacity': 64, 'agent.target_every': 2,
}  # fmt: skip


def case(seed=0, b=32, actions=3):
    """(values now, values behind by the learner, by the target, a sample)."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(3, b, actions)).astype('f4') * 2
    sample = Sample(
        observation=jnp.full(b, 0),
        action=jnp.asarray(rng.integers(0, actions, b), jnp.int32),
        reward=jnp.asarray(rng.normal(size=b), jnp.float32),
        discount=jnp.asarray(0.9 * (rng.random(b) < 0.8), jnp.float32),
        following=jnp.full(b, 1),
        weight=jnp.ones(b),
    )
    return *map(jnp.asarray, q), sample


def lookup(params, observation):
    """A 'network' whose parameters are its outputs, for two observations."""
    return jnp.where(observation[:, None] == 0, params[0], params[1])


@pytest.mark.parametrize('double', [False, True])
def test_targets_and_loss_by_hand(double):
    now, online, target, sample = case()
    agent = dqn.DQN(double=double)
    total, _ = dqn.loss(jnp.stack([now, online]), jnp.stack([now, target]), agent, lookup, sample)
    expected = []
    for i in range(len(now)):
        best = np.argmax(online[i] if double else target[i])
        y = sample.reward[i] + sample.discount[i] * target[i, best]
        error = abs(float(y - now[i, sample.action[i]]))
        expected.append(0.5 * error**2 if error < 1 else error - 0.5)
    np.testing.assert_allclose(total, np.mean(expected), rtol=1e-5)


@pytest.mark.oracles
@pytest.mark.parametrize('double', [False, True])
def test_loss_and_gradients_equal_rlax(double):
    rlax = pytest.importorskip('rlax')
    now, online, target, sample = case(1)
    agent = dqn.DQN(double=double)

    def theirs(now):
        given = now, sample.action, sample.reward, sample.discount, target
        if double:
            errors = jax.vmap(rlax.double_q_learning)(*given, online)
        else:
            errors = jax.vmap(rlax.q_learning)(*given)
        return rlax.huber_loss(errors).mean()

    def ours(now):
        params, slow = jnp.stack([now, online]), jnp.stack([now, target])
        return dqn.loss(params, slow, agent, lookup, sample)[0]

    for a, b in zip(jax.value_and_grad(ours)(now), jax.value_and_grad(theirs)(now), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_it_finds_the_exact_values_of_a_small_world():
    """Q-learning with a table for a network, on every transition of a chain at once: state s goes
    to s + 1 for a reward of s, or stays for nothing; the fourth state ends it."""
    states, actions = jnp.repeat(jnp.arange(3), 2), jnp.tile(jnp.arange(2), 3)
    goes = actions == 1
    sample = Sample(
        observation=states,
        action=actions.astype(jnp.int32),
        reward=jnp.where(goes, states.astype(jnp.float32), 0.0),
        discount=jnp.where(goes & (states == 2), 0.0, 0.9),
        following=jnp.where(goes, states + 1, states) % 3,
        weight=jnp.ones(6),
    )
    agent = dqn.DQN(target_every=20.0)
    optimizer = optax.sgd(1.0)
    from jaxcv.rl import learner as learning

    student = dqn.start(learning.start(optimizer, jnp.zeros((3, 2)), 2.0))

    def update(student, _):
        learner = student.learner
        grads = jax.grad(lambda p: dqn.loss(p, student.target, agent, lambda p, s: p[s], sample)[0])
        learner, _ = learning.descend(optimizer, learner, grads(learner.params))
        return dqn.follow(agent, student, learner), None

    student, _ = jax.lax.scan(update, student, None, length=600)
    v2, v1 = 2.0, 1 + 0.9 * 2.0
    v0 = 0.9 * v1
    expected = [[0.9 * v0, v0], [0.9 * v1, v1], [0.9 * v2, v2]]
    np.testing.assert_allclose(student.learner.params, expected, atol=1e-3)


def test_epsilon_falls_to_its_end_and_explores_that_often():
    agent = dqn.DQN(epsilon=1.0, epsilon_end=0.2, epsilon_steps=10.0)
    found = [float(dqn.epsilon(agent, jnp.float32(t))) for t in (0, 5, 10, 99)]
    np.testing.assert_allclose(found, [1.0, 0.6, 0.2, 0.2], rtol=1e-6)
    q = jnp.tile(jnp.array([0.0, 1.0, 0.0, 0.0]), (20_000, 1))
    actions = dqn.explore(q, 0.2, jax.random.split(jax.random.key(0), 20_000))
    # A random action is the best one in a quarter of the cases.
    assert abs((actions != 1).mean() - 0.15) < 0.01


def trained(tmp_path, devices=1, **changes):
    config = configs.load(CARTPOLE, SMALL | changes)
    return run(experiments.build(config), config, tmp_path, devices=jax.devices()[:devices])


def test_eight_devices_make_the_updates_of_one(tmp_path):
    one, eight = trained(tmp_path / '1'), trained(tmp_path / '8', devices=8)
    for a, b in zip(jax.tree.leaves(one.state), jax.tree.leaves(eight.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_a_continued_run_is_uninterrupted_to_the_bit(tmp_path):
    """The replay and the environments are in the checkpoint."""
    constant = {'optim.schedule': 'constant'}
    whole = trained(tmp_path / 'whole', **constant)
    trained(tmp_path / 'parts', **constant | {'train.steps': 4})
    parts = trained(tmp_path / 'parts', **constant)
    assert parts.step == 6 and int(parts.state.student.updates) > 2
    for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(parts.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mistakes_in_a_config_are_told():
    def build(**changes):
        return experiments.build(configs.load(CARTPOLE, SMALL | changes))

    with pytest.raises(UserError, match='takes Box'):
        build(**{'env.name': 'gymnax:Pendulum-v1'})
    with pytest.raises(UserError, match='do not divide'):
        build(**{'agent.batch': 12})
    with pytest.raises(UserError, match='has no room'):
        build(**{'agent.capacity': 4})


def test_cartpole_is_learned():
    """The config, to the end: whole episodes of the greedy policy."""
    config = configs.load(CARTPOLE)
    made = experiments.build(config)
    keys = program.keys(0)

    def step(state, i):
        return made.step(state, None, jax.random.fold_in(keys.step, i))

    train = jax.jit(lambda s: jax.lax.scan(step, s, np.arange(config.train.steps)))
    state, metrics = train(jax.jit(made.init)(keys.init))
    assert metrics['episode_return'][100] < 60
    assert made.evaluate(state, keys.evaluate)['episode_return'] >= 475
