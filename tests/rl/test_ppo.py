"""PPO's update: the minibatches, the loss, and what it does on the first of them."""

import jax
import numpy as np
import optax
import pytest
from counting import counting
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.ops.across import DATA
from jaxcv.rl import lessons, ppo, rollout
from jaxcv.rl.distributions import Categorical
from jaxcv.rl.envs.environment import Discrete
from jaxcv.rl.envs.vector import vectorize
from jaxcv.rl.networks import ActorCritic

AGENT = ppo.PPO(steps=16, minibatches=4)
N = 8


def network(memory=''):
    encoder = {'name': 'mlp', 'widths': (8,)}
    return ActorCritic(action=Discrete(2), encoder=encoder, memory=memory, width=4)


@pytest.fixture(scope='module', params=['', 'gru', 'lstm'])
def played(request):
    """(apply, params, a segment that they made, the carry at its beginning)."""
    net, envs = network(request.param), vectorize(counting())
    actors = rollout.enter(envs, jax.random.split(jax.random.key(0), N), net.blank(N))
    first = actors.observation[None], actors.start[None], actors.carry
    params = net.init(jax.random.key(1), *first)['params']
    # A policy that is not uniform.
    params = jax.tree.map(lambda x: x + 0.1 * np.sin(np.arange(x.size)).reshape(x.shape), params)

    def apply(params, *inputs):
        return net.apply({'params': params}, *inputs)

    # The second segment begins in the middle of episodes.
    for i in range(2):
        carry = actors.carry
        actors, segment, _ = rollout.collect(
            envs, lambda *inputs: apply(params, *inputs), actors, jax.random.key(i), AGENT.steps
        )
    return apply, params, segment, carry


def test_on_the_first_minibatch_nothing_has_changed(played):
    """The ratio is 1: what the policy sees when it learns is what it saw when it acted."""
    apply, params, segment, carry = played
    policy, value, _ = apply(params, segment.observation, segment.start, carry)
    np.testing.assert_allclose(policy.log_prob(segment.action), segment.log_prob, atol=1e-6)
    np.testing.assert_allclose(value, segment.value, atol=1e-6)
    _, metrics = ppo.loss(params, AGENT, apply, lessons.lessons(AGENT, segment), carry)
    assert metrics['clip_fraction'] == 0 and abs(metrics['kl']) < 1e-7
    assert 0 < metrics['entropy'] < np.log(2)


def test_the_gradient_there_is_that_of_the_policy(played):
    """Of E[A log pi], without clipping: a ratio of 1 has the gradient of its logarithm."""
    apply, params, segment, carry = played
    agent = AGENT.replace(value_weight=0.0, entropy=0.0, normalize=False)
    lesson = lessons.lessons(agent, segment)

    def plain(params):
        policy = apply(params, lesson.observation, lesson.start, carry)[0]
        return -(lesson.advantage * policy.log_prob(lesson.action)).mean()

    found = jax.grad(lambda p: ppo.loss(p, agent, apply, lesson, carry)[0])(params)
    expected = jax.grad(plain)(params)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_clip_cuts_the_gradient_of_actions_already_moved_far():
    """Eq. 7 by hand: at ratio 1.5, only actions to be made rarer again still pull."""

    def pull(advantage, log_ratio):
        one = jnp.ones((1, 1))
        lesson = lessons.Lesson(
            observation=None,
            start=None,
            action=jnp.zeros((1, 1), jnp.int32),
            log_prob=one * (np.log(0.5) - log_ratio),
            value=0 * one,
            advantage=advantage * one,
            target=0 * one,
        )

        def apply(params, *_):
            return (
                Categorical(jnp.stack([params, jnp.zeros(())])[None, None]),
                jnp.zeros((1, 1)),
                (),
            )

        agent = ppo.PPO(normalize=False, entropy=0.0)
        return jax.grad(lambda p: ppo.loss(p, agent, apply, lesson, ())[0])(0.0)

    up, down = float(np.log(1.5)), float(np.log(0.6))
    assert pull(1.0, up) == 0 and pull(-1.0, down) == 0
    # d ratio / d logit = ratio (1 - p) for the chosen one of two equal actions.
    np.testing.assert_allclose(pull(-1.0, up), 0.75, rtol=1e-5)
    np.testing.assert_allclose(pull(1.0, down), -0.3, rtol=1e-5)


@pytest.mark.parametrize('recurrent', [False, True])
def test_minibatches_cover_everything_once(recurrent):
    table = lessons.groups(8, 16, 4, recurrent)
    rows = lessons.shuffled(jax.random.key(0), table, 4)
    count = 8 if recurrent else 128
    assert rows.shape == (4, count // 4)
    np.testing.assert_array_equal(np.sort(rows.reshape(-1)), np.arange(count))
    assert (lessons.shuffled(jax.random.key(1), table, 4) != rows).any()


@pytest.mark.parametrize('recurrent', [False, True])
def test_any_number_of_devices_learns_from_the_same_minibatches(recurrent):
    whole = lessons.shuffled(jax.random.key(0), lessons.groups(16, 8, 4, recurrent), 4)

    def local(_):
        return lessons.shuffled(jax.random.key(0), lessons.groups(4, 8, 4, recurrent), 4)

    parts = np.asarray(jax.pmap(local, DATA)(np.zeros(4)))
    for i, rows in enumerate(whole):
        time, env = (0, rows) if recurrent else (rows // 16, rows % 16)
        expected = {(int(a), int(b)) for a, b in np.broadcast(time, env)}
        found = {
            (0, 4 * d + int(r)) if recurrent else (int(r) // 4, 4 * d + int(r) % 4)
            for d in range(4)
            for r in parts[d, i]
        }
        assert found == expected


def test_an_update_raises_the_surrogate_and_fits_the_value(played):
    apply, params, segment, carry = played
    learner = ppo.start(optax.sgd(1.0), params, 0.05)
    agent = AGENT.replace(entropy=0.0, value_clip=0.0)
    given = apply, learner, segment, carry, jax.random.key(0)
    after, metrics = ppo.learn(agent, optax.sgd(1.0), *given)
    lesson = lessons.lessons(agent, segment)
    old, new = (ppo.loss(p, agent, apply, lesson, carry)[1] for p in (params, after.params))
    assert new['policy_loss'] < old['policy_loss'] and new['value_loss'] < old['value_loss']
    assert metrics['kl'] > 0 and metrics['explained_variance'] < 1


def test_minibatches_that_do_not_divide_are_refused():
    with pytest.raises(UserError, match='does not divide the 100 steps'):
        lessons.check(ppo.PPO(steps=100, minibatches=8), 4, recurrent=False)
    with pytest.raises(UserError, match='does not divide the 6 environments'):
        lessons.check(ppo.PPO(minibatches=4), 6, recurrent=True)


@pytest.mark.oracles
def test_loss_and_gradients_equal_stable_baselines3():
    """One step of gradient descent on the same batch leads both to the same parameters."""
    sb3 = pytest.importorskip('stable_baselines3')
    gymnasium = pytest.importorskip('gymnasium')
    torch = pytest.importorskip('torch')

    rng = np.random.default_rng(0)
    steps, count, width, rate = 16, 4, 5, 0.1
    net = ActorCritic(action=Discrete(3), encoder={'name': 'mlp', 'widths': (width, width)})
    observation = rng.normal(size=(steps, count, 6)).astype('f4')
    start = jnp.zeros((steps, count), bool)
    params = net.init(jax.random.key(0), observation, start, net.blank(count))['params']
    noise = iter(range(100))
    params = jax.tree.map(
        lambda x: x + 0.3 * jax.random.normal(jax.random.key(next(noise)), x.shape), params
    )

    class Env(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (6,))
        action_space = gymnasium.spaces.Discrete(3)

        def reset(self, **_):
            return np.zeros(6, 'f4'), {}

    theirs = sb3.PPO(
        'MlpPolicy', sb3.common.vec_env.DummyVecEnv([Env] * count), n_steps=steps, n_epochs=1,
        batch_size=steps * count, clip_range=0.2, clip_range_vf=None, normalize_advantage=False,
        ent_coef=0.01, vf_coef=0.25, max_grad_norm=1e9, learning_rate=rate, device='cpu',
        policy_kwargs={
            'net_arch': {'pi': [width] * 2, 'vf': [width] * 2}, 'optimizer_class': torch.optim.SGD
        },
    )  # fmt: skip

    layers = {'actor': ('policy_net', 'action_net'), 'critic': ('value_net', 'value_net')}

    def tensors(params):
        for own, (body, head) in layers.items():
            hidden, last = params[own]['MLP_0'], params[own]['Dense_0']
            for i in range(2):
                yield f'mlp_extractor.{body}.{2 * i}', hidden[f'Dense_{i}']
            yield head, last

    weights = {}
    for name, layer in tensors(params):
        weights[f'{name}.weight'] = torch.tensor(np.array(layer['kernel']).T)
        weights[f'{name}.bias'] = torch.tensor(np.array(layer['bias']))
    theirs.policy.load_state_dict(weights)

    policy, value, _ = net.apply({'params': params}, observation, start, net.blank(count))
    action = rng.integers(0, 3, (steps, count)).astype('i4')
    # Ratios on both sides of the clip.
    log_prob = np.asarray(policy.log_prob(action)) + rng.normal(0, 0.3, (steps, count)).astype('f4')
    segment = rollout.Trajectory(
        observation=observation, start=start, action=action, log_prob=log_prob, value=value,
        next_value=jnp.concatenate([value[1:], value[:1]]), reward=rng.normal(size=(steps, count)),
        terminated=rng.random((steps, count)) < 0.1, truncated=np.zeros((steps, count), bool),
    )  # fmt: skip
    segment = jax.tree.map(jnp.asarray, segment)
    agent = ppo.PPO(
        steps=steps, epochs=1, minibatches=1, normalize=False, value_clip=0.0, entropy=0.01
    )
    lesson = lessons.lessons(agent, segment)
    buffer = theirs.rollout_buffer
    ours = {
        'observations': observation, 'actions': action[..., None], 'values': value,
        'log_probs': log_prob, 'advantages': lesson.advantage, 'returns': lesson.target,
    }  # fmt: skip
    for name, array in ours.items():
        setattr(buffer, name, np.array(array, 'f4'))
    buffer.full = True
    theirs._logger = sb3.common.logger.Logger(None, [])
    theirs.train()

    learner = ppo.start(optax.sgd(1.0), params, rate)
    apply = lambda params, *inputs: net.apply({'params': params}, *inputs)  # noqa: E731
    after, metrics = ppo.learn(
        agent, optax.sgd(1.0), apply, learner, segment, net.blank(count), jax.random.key(0)
    )
    logged = theirs.logger.name_to_value
    assert 0.1 < metrics['clip_fraction'] < 0.9
    np.testing.assert_allclose(metrics['clip_fraction'], logged['train/clip_fraction'], atol=1e-6)
    np.testing.assert_allclose(metrics['loss'], logged['train/loss'], rtol=1e-4)
    np.testing.assert_allclose(metrics['kl'], logged['train/approx_kl'], rtol=1e-4)
    moved = theirs.policy.state_dict()
    for (name, new), (_, old) in zip(tensors(after.params), tensors(params), strict=True):
        got = np.asarray(new['kernel'] - old['kernel'])
        want = (moved[f'{name}.weight'] - weights[f'{name}.weight']).numpy().T
        np.testing.assert_allclose(got, want, atol=2e-6)
        assert np.abs(got).max() > 1e-4
