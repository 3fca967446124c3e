"""The DQN agent as a whole: exact values where they are known, pictures, many seeds at once."""

import dataclasses

import jax
import numpy as np
import pytest

import experiments
from jaxcv.errors import UserError
from jaxcv.rl.envs import make
from jaxcv.rl.envs.vector import vectorize
from jaxcv.rl.promises import excess, picture, promises
from jaxcv.rl.tabular import environment, exact, worlds
from jaxcv.sweep import ensemble
from jaxcv.train import config as configs
from jaxcv.train import program, run

SMALL = {
    'train.steps': 4, 'train.batch_size': 8, 'agent.warmup': 16, 'agent.batch': 16,
    'agent.capacity': 64, 'env.episodes': 4, 'env.limit': 20,
}  # fmt: skip
CARTPOLE, BREAKOUT = 'configs/rl/dqn_cartpole.py', 'configs/rl/dqn_breakout.py'
CELLS = np.eye(25, dtype=np.float32)
# Example 3.5 of Sutton & Barto has no end at all; here every 8 steps the clock runs out.
JUMPS = {
    'model.widths': (), 'agent.capacity': 4000, 'agent.warmup': 2000, 'agent.batch': 64,
    'agent.updates': 4, 'agent.lookahead': 1, 'agent.delta': 1e3, 'agent.discount': 0.9,
    'agent.epsilon_end': 1.0, 'agent.target_every': 20, 'agent.target_rate': 1.0,
    'optim.lr': 0.2, 'optim.clip_norm': 0.0,
    'train.steps': 1400,
}  # fmt: skip
FIGURE_3_5 = [
    [22.0, 24.4, 22.0, 19.4, 17.5],
    [19.8, 22.0, 19.8, 17.8, 16.0],
    [17.8, 19.8, 17.8, 16.0, 14.4],
    [16.0, 17.8, 16.0, 14.4, 13.0],
    [14.4, 16.0, 14.4, 13.0, 11.7],
]


def built(file=CARTPOLE, **changes):
    config = configs.load(file, SMALL | changes)
    return experiments.build(config), config


def alike(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def stepped(made, count, seed=0):
    """The state after `count` steps of a run of that seed, and its last metrics."""

    @jax.jit
    def train(keys):
        def step(state, i):
            return made.step(state, None, jax.random.fold_in(keys.step, i))

        return jax.lax.scan(step, made.init(keys.init), np.arange(count))

    state, metrics = train(program.keys(seed))
    return state, jax.tree.map(lambda x: x[-1], metrics)


def learned(monkeypatch, mistaken=False):
    """(values that the agent found, exact values) of the actions in example 3.5."""
    mdp = worlds.world('jumps').mdp
    env = environment.environment(mdp, limit=8)
    if mistaken:  # the end of the clock for the end of the world

        def step(*given, inner=env.step):
            result = inner(*given)
            ended, nothing = result.terminated | result.truncated, result.truncated & False
            return result._replace(terminated=ended, truncated=nothing)

        env = dataclasses.replace(env, step=step)
    monkeypatch.setattr(make, 'environments', lambda **_: vectorize(env))
    made, config = built(**JUMPS)
    state, _ = stepped(made, config.train.steps)
    return made.export(state).values(CELLS), exact.value_iteration(mdp).q


def test_values_become_exact(monkeypatch):
    found, expected = learned(monkeypatch)
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_allclose(found.max(-1).reshape(5, 5), FIGURE_3_5, atol=0.06)


def test_they_would_not_if_a_time_limit_were_an_end(monkeypatch):
    found, expected = learned(monkeypatch, mistaken=True)
    assert (expected - found).max() > 1


def test_seeds_share_a_program():
    made, _ = built(**{'model.widths': (8,)})
    both = ensemble.ensemble(made, (0, 1), one_by_one=False)

    def step(state, _):
        return both.step(state, None, None)[0], None

    state, _ = jax.jit(lambda: jax.lax.scan(step, both.init(None), None, 4))()
    for i, seed in enumerate((0, 1)):
        alone, metrics = stepped(made, 4, seed)
        assert metrics['loss'] > 0
        alike(ensemble.member(made, state, i), alone, rtol=1e-3, atol=2e-5)


def test_pictures_go_through_memory_and_network_as_bytes():
    pixels = {
        'env.wrappers': {'pixels': {'size': 12}, 'gray': {}, 'frame_stack': {'count': 2}},
        'model': {'name': 'cnn', 'layers': ((4, 3, 2),), 'widths': (8,), 'dueling': True},
    }
    made, _ = built(**pixels)
    state, metrics = stepped(made, 4)
    observations = state.replay.rows.observation
    assert observations.dtype == np.uint8 and observations.shape == (8, 9, 12, 12, 2)
    assert observations.max() > 200
    assert np.isfinite(metrics['loss']) and metrics['loss'] > 0 and metrics['grad_norm'] > 0
    # Inside the network they are in [0, 1].
    assert abs(made.export(state).values(observations[0])).max() < 5


def test_how_observations_are_stored_changes_nothing():
    flat = {'model': {'name': 'mlp', 'widths': (8,)}}
    states = [
        stepped(built(BREAKOUT, **flat, **{'agent.stored': kind})[0], 4)[0] for kind in ('', 'bool')
    ]
    assert [state.replay.rows.observation.dtype for state in states] == [np.float32, np.bool_]
    alike(states[0].student, states[1].student, rtol=0, atol=0)


def test_what_is_promised_and_what_follows(monkeypatch):
    """With the exact values of a world the promise is kept, and with 3 more it is 3 too large."""
    mdp = worlds.world('jumps').mdp
    envs, q = vectorize(environment.environment(mdp, limit=8)), exact.value_iteration(mdp).q
    keys = jax.random.split(jax.random.key(0), 4)
    kept = promises(envs, lambda seen: seen @ q, keys, 0.9, 30)
    assert kept.running.sum() == 4 * 8
    np.testing.assert_allclose(kept.values[:8], kept.returns[:8], rtol=1e-5)
    assert abs(excess(kept)) < 1e-4
    # The last value, from which a cut episode bootstraps, is too large as well.
    late = excess(promises(envs, lambda seen: seen @ q + 3, keys, 0.9, 30))
    np.testing.assert_allclose(late, 3 * (1 - np.mean(0.9 ** np.arange(1, 9))), rtol=1e-4)
    assert picture(kept).pixels.ndim == 3


def test_a_run_with_pictures(tmp_path):
    made, config = built(**{'model.widths': (8,)})
    result = run(made, config, tmp_path, devices=jax.devices()[:1])
    assert (tmp_path / 'media' / 'values').exists() and (tmp_path / 'media' / 'policy').exists()
    assert {'episode_return', 'worst_return', 'best_return', 'overestimation'} <= set(
        result.metrics
    )


def test_observations_that_are_no_numbers_end_the_run(tmp_path, monkeypatch):
    env = environment.environment(worlds.world('jumps').mdp, limit=8)

    def step(*given):
        result = env.step(*given)
        return result._replace(observation=result.observation / 0)

    broken = dataclasses.replace(env, step=step)
    monkeypatch.setattr(make, 'environments', lambda **_: vectorize(broken))
    made, config = built()
    with pytest.raises(UserError, match='mdp gives observations or rewards that are NaN'):
        run(made, config, tmp_path, devices=jax.devices()[:1])
