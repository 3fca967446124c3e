"""The policy-gradient page, run by the engine."""

import jax
import numpy as np
import pytest

import experiments
from jaxcv.errors import UserError
from jaxcv.sweep import ensemble
from jaxcv.train import config as configs
from jaxcv.train import program, run

SMALL = {'train.steps': 4, 'train.batch_size': 8, 'agent.steps': 16, 'model.widths': (8,)}
CARTPOLE = 'configs/rl/ppo_cartpole.py'
NORMALIZED = {'env.normalize': ('observation', 'reward')}
MEMORY = 'configs/rl/ppo_memory.py'
RECURRENT = {'model.width': 4, 'agent.minibatches': 2, 'train.batch_size': 16}


def trained(tmp_path, file=CARTPOLE, devices=1, **changes):
    config = configs.load(file, SMALL | changes)
    made = experiments.build(config)
    return run(made, config, tmp_path, devices=jax.devices()[:devices])


def alike(a, b, **tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_allclose(x, y, **tolerance)


@pytest.mark.parametrize('changes', [{}, NORMALIZED], ids=['plain', 'normalized'])
def test_eight_devices_make_the_updates_of_one(tmp_path, changes):
    """Not alike on average: the same environments, the same minibatches, the same parameters."""
    one = trained(tmp_path / '1', **changes)
    eight = trained(tmp_path / '8', devices=8, **changes)
    alike(one.state, eight.state, rtol=1e-3, atol=2e-5)


def test_recurrent_too(tmp_path):
    one = trained(tmp_path / '1', MEMORY, **RECURRENT)
    eight = trained(tmp_path / '8', MEMORY, devices=8, **RECURRENT)
    alike(one.state, eight.state, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize('file, changes', [(CARTPOLE, NORMALIZED), (MEMORY, RECURRENT)])
def test_a_continued_run_is_uninterrupted_to_the_bit(tmp_path, file, changes):
    """Environments, episodes under way, normalizers and memories are in the checkpoint."""
    whole = trained(tmp_path / 'whole', file, **changes)
    trained(tmp_path / 'parts', file, **changes | {'train.steps': 2, 'optim.schedule': 'constant'})
    half = trained(tmp_path / 'parts', file, **changes | {'optim.schedule': 'constant'})
    whole = trained(tmp_path / 'again', file, **changes | {'optim.schedule': 'constant'})
    assert half.step == 4
    alike(whole.state, half.state, rtol=0, atol=0)


def test_seeds_share_a_program(tmp_path):
    """Agents that are trained at once are those that are trained alone."""
    config = configs.load(CARTPOLE, SMALL | {'train.steps': 2})
    made = experiments.build(config)
    both = ensemble.ensemble(made, (0, 1), one_by_one=False)
    state, _ = both.step(both.init(None), None, None)
    for i, seed in enumerate((0, 1)):
        keys = program.keys(seed)
        alone, _ = jax.jit(made.step)(
            jax.jit(made.init)(keys.init), None, jax.random.fold_in(keys.step, 0)
        )
        alike(ensemble.member(made, state, i), alone, rtol=1e-3, atol=2e-5)


def test_numbers_of_the_algorithm_are_in_the_state():
    """So that agents which differ in them share a program too, under `vmap`."""
    config = configs.load(CARTPOLE, SMALL)
    made = experiments.build(config)
    state = jax.jit(made.init)(jax.random.key(0))

    def trained(rate, entropy):
        agent = state.agent.replace(entropy=entropy)
        learner = state.learner.__class__(state.learner.params, state.learner.opt, rate)
        return made.step(state.replace(agent=agent, learner=learner), None, jax.random.key(1))[0]

    rates, entropies = np.array([0.0, 1e-3, 1e-3], 'f4'), np.array([0.0, 0.0, 5.0], 'f4')
    many = jax.jit(jax.vmap(trained))(rates, entropies).learner.params
    alike(jax.tree.map(lambda x: x[0], many), state.learner.params, rtol=0, atol=0)
    alone = jax.jit(trained)(1e-3, 5.0).learner.params
    alike(jax.tree.map(lambda x: x[2], many), alone, rtol=1e-3, atol=2e-5)
    with pytest.raises(AssertionError):
        alike(jax.tree.map(lambda x: x[1], many), alone, rtol=1e-3, atol=2e-5)


def test_mistakes_in_a_config_are_told():
    def build(file=CARTPOLE, **changes):
        return experiments.build(configs.load(file, SMALL | changes))

    with pytest.raises(UserError, match=r"did you mean 'ppo'"):
        build(**{'agent.name': 'pppo'})
    with pytest.raises(UserError, match=r'a field of config\.agent'):
        build(**{'agent.clipp': 0.1})
    with pytest.raises(UserError, match='does not divide the 16 steps'):
        build(**{'agent.minibatches': 5})
    with pytest.raises(UserError, match='does not divide the 10 environments'):
        build(MEMORY, **{'train.batch_size': 10, 'agent.minibatches': 4})
    with pytest.raises(UserError, match='takes discrete actions'):
        build(**{'model.policy': 'normal'})
    with pytest.raises(UserError, match='CartPole-v1'):
        build(**{'env.name': 'gymnax:CartPole-v7'})
    with pytest.raises(UserError, match=r'config\.env\.normalize'):
        build(**{'env.normalize': ('observations',)})


def test_observations_that_are_no_numbers_end_the_run(tmp_path, monkeypatch):
    from counting import counting

    from jaxcv.rl.envs import make
    from jaxcv.rl.envs.vector import vectorize

    env = counting()
    broken = env.__class__(
        **vars(env)
        | {'step': lambda *given: env.step(*given)._replace(observation=env.step(*given)[0] / 0)}
    )
    monkeypatch.setattr(make, 'environments', lambda **_: vectorize(broken))
    with pytest.raises(UserError, match='counting gives observations or rewards that are NaN'):
        trained(tmp_path)


@pytest.mark.parametrize('algorithm', ['ppo', 'actor_critic'])
def test_cartpole_is_learned(algorithm):
    """The mean of the last 5% of the config's 500,000 steps."""
    config = configs.load(f'configs/rl/{algorithm}_cartpole.py')
    made = experiments.build(config)
    keys = program.keys(0)

    def step(state, i):
        return made.step(state, None, jax.random.fold_in(keys.step, i))

    train = jax.jit(lambda s: jax.lax.scan(step, s, np.arange(config.train.steps)))
    state, metrics = train(jax.jit(made.init)(keys.init))
    returns = np.asarray(metrics['episode_return'])
    assert returns[:5].mean() < 40 and returns[-len(returns) // 20 :].mean() >= 475
    assert made.evaluate['greedy'](state, keys.evaluate)['episode_return'] >= 475
