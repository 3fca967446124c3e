"""The experiment: runs through the engine, learns, and refuses what it can't do."""

import dataclasses

import jax
import ml_collections
import numpy as np
import pytest

import experiments
from experiments import tabular
from jaxcv.errors import UserError
from jaxcv.train import run
from jaxcv.train.config import load

PATH = 'configs/rl/gridworld.py'


def config(agent, env=None, **train):
    section = {'steps': 30, 'batch_size': 1, 'log_every': 10, 'checkpoint_every': 30, **train}
    return ml_collections.ConfigDict(
        {
            'experiment': 'tabular',
            'env': {'name': 'corners', 'limit': 100, **(env or {})},
            'agent': agent,
            'train': section,
        }
    )


def test_q_learning_past_the_cliff(tmp_path):
    """As the config promises: the greedy policy walks along the edge, 13 steps."""
    made = load(PATH, {'train.eval_every': 0, 'train.checkpoint_every': 500})
    found = run(experiments.build(made), made, tmp_path / 'run', devices='auto')
    assert found.metrics['greedy_return'] == -13 and found.metrics['regret'] == 0
    assert found.metrics['error'] < 1.5
    shown = {path.parent.name for path in (found.workdir / 'media').glob('*/*.png')}
    assert shown == {'values', 'policy', 'actions', 'curves'}
    again = run(experiments.build(made), made, tmp_path / 'run', mode='evaluate', devices='auto')
    assert again.metrics == found.metrics


def test_devices_change_nothing(tmp_path):
    """Eight walkers on one device, and one on each of eight."""
    agent = {'name': 'sarsa', 'step_size': 0.5, 'epsilon': 0.3, 'steps': 5}
    made = config(agent, batch_size=8, steps=4)
    learning = dataclasses.replace(tabular.build(made), show=None, evaluate=None)
    one, many = (run(learning, made, tmp_path / str(n), devices=jax.devices()[:n]) for n in (1, 8))
    np.testing.assert_allclose(many.state.q, one.state.q, atol=1e-4)
    for a, b in zip(
        jax.tree.leaves(many.state.learner.walkers),
        jax.tree.leaves(one.state.learner.walkers),
        strict=True,
    ):
        np.testing.assert_allclose(a, b)
    assert np.abs(one.state.q).max() > 0.5


def steps(made, count):
    """The state after some steps, without the engine."""
    experiment = tabular.build(made)
    state, step = jax.jit(experiment.init)(jax.random.key(0)), jax.jit(experiment.step)
    for i in range(count):
        state, metrics = step(state, None, jax.random.key(i))
    return experiment.evaluate(state, None), metrics


@pytest.mark.parametrize('name', ['monte_carlo', 'expected_sarsa', 'double_q_learning'])
def test_methods_learn(name):
    agent = {'name': name, 'steps': 20 if name == 'monte_carlo' else 300, 'step_size': 0.3}
    result, metrics = steps(config(agent), 30)
    assert result['regret'] < 0.3 and metrics['episode_return'] < -1
    assert result['error'] < (1 if name != 'monte_carlo' else 8)  # a bad start is seldom revised


@pytest.mark.parametrize('name', ['value_iteration', 'policy_iteration'])
def test_planners_plan(name):
    result, metrics = steps(config({'name': name}, {'name': 'rooms'}), 60)
    assert abs(result['regret']) < 1e-4 and result['optimal_actions'] > 0.95
    assert metrics['error'] < 1e-5


@pytest.mark.parametrize(
    ('agent', 'env', 'message'),
    [
        ({'name': 'q_lerning'}, {}, "did you mean 'q_learning'"),
        ({'name': 'sarsa', 'stepsize': 1.0}, {}, "did you mean 'step_size'"),
        ({'name': 'sarsa'}, {'name': 'clif'}, "did you mean 'cliff'"),
        ({'name': 'sarsa'}, {'limit': 0}, 'config.env.limit is 0'),
        ({'name': 'value_iteration', 'steps': 3}, {}, 'field of config.agent'),
    ],
)
def test_mistakes(agent, env, message):
    with pytest.raises(UserError, match=message):
        tabular.build(config(agent, env))
