"""Atari: the published preprocessing, against a slow and straightforward one."""

import sys

import gymnasium
import jax
import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.rl.envs.atari import Atari, area, atari, rom, shrink

FIELDS = dict(
    noop_max=30,
    frame_skip=4,
    fire_reset=True,
    episodic_life=True,
    size=(84, 84),
    sign_reward=True,
    sticky=0.0,
    all_actions=False,
    max_frames=108_000,
)


def arcade(game='Breakout', **fields):
    """gymnasium's own environment, frame by frame."""
    import ale_py

    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    fields = {'frameskip': 1, 'repeat_action_probability': 0.0, 'obs_type': 'grayscale'} | fields
    return gymnasium.make(f'ALE/{game}-v5', **fields)


def average(picture, size=84):
    """Area averages, by writing every pixel `size` times."""
    for _ in range(2):
        tall = np.repeat(picture.astype(np.float64), size, 0)
        picture = tall.reshape(size, -1, picture.shape[1]).mean(1).T
    return picture


def reference(seed, actions, life, sign):
    """Yields what an agent sees on Breakout: (shown, final, reward, terminated)."""
    env, rng = arcade(), np.random.default_rng(seed)

    def skip(action):
        frames, total = [], 0
        for _ in range(4):
            frame, reward, over, _, _ = env.step(action)
            frames, total = frames + [frame], total + reward
            if over:
                break
        return np.max(frames[-2:], 0), total, over

    def new():
        env.reset()
        for _ in range(rng.integers(1, 31)):
            env.step(0)
        skip(1)
        return skip(2)[0]

    env.reset(seed=0)
    lives, shown = 5, new()
    yield shown, None, 0, False
    for action in actions:
        final, reward, over = skip(action)
        now = env.unwrapped.ale.lives()
        shown, terminated = final, over
        if life and 0 < now < lives:
            terminated = True
            skip(0), skip(1)
            shown = skip(2)[0]
        if over:
            shown = new()
        lives = env.unwrapped.ale.lives()
        yield shown, final, np.sign(reward) if sign else reward, terminated


@pytest.mark.parametrize(('life', 'sign', 'steps'), [(True, True, 230), (False, False, 230)])
def test_breakout_step_by_step(life, sign, steps):
    envs = atari('Breakout', workers=1, episodic_life=life, sign_reward=sign, render=True)
    assert envs.observation.shape == (84, 84, 4) and envs.action.n == 4
    keys = jax.random.split(jax.random.key(3), 1)
    actions = np.random.default_rng(0).integers(0, 4, (steps, 1), np.int32)

    @jax.jit
    def run(keys):
        shown, state = envs.reset(keys)

        def tick(state, action):
            result = envs.step(keys, state, action)
            return result.state, result._replace(state=envs.render(result.state))

        return shown, state, jax.lax.scan(tick, state, actions)[1]

    shown, state, result = jax.tree.map(np.asarray, run(keys))
    theirs = reference(int(state.seed[0]), actions[:, 0], life, sign)
    frame = average(next(theirs)[0])
    stack = [frame] * 4
    assert np.abs(np.stack(stack, -1) - shown[0]).max() <= 0.501
    ended = 0
    for t, (first, final, reward, terminated) in enumerate(theirs):
        stack = stack[1:] + [average(final)]
        if not terminated:
            assert np.abs(np.stack(stack, -1) - result.final[t, 0]).max() <= 0.501
        if terminated:
            stack, ended = [average(first)] * 4, ended + 1
        assert np.abs(np.stack(stack, -1) - result.observation[t, 0]).max() <= 0.501
        assert (reward, terminated) == (result.reward[t, 0], result.terminated[t, 0])
    assert ended >= (4 if life else 1) and result.reward.sum() > 0
    assert not result.truncated.any()
    assert result.state.shape[1:] == (1, 210, 160, 3) and np.ptp(result.state[0], (0, 1, 2)).all()


def test_time_limit_truncates():
    game = Atari(rom('Pong'), **FIELDS | {'max_frames': 120, 'noop_max': 0})
    game.reset(seed=1)
    ended = [game.step(0)[2:4] for _ in range(40)]
    assert not any(terminated for terminated, _ in ended)
    first = [truncated for _, truncated in ended].index(True)
    frames = 4 * (first + 1) + 8  # FIRE, and the action after
    assert 0 <= frames - 120 < 4
    game.reset()
    assert not game.step(0)[3]


def test_sticky_actions_and_seeds():
    def play(seed, sticky):
        game = Atari(rom('Breakout'), **FIELDS | {'sticky': sticky, 'noop_max': 0})
        seen = [game.reset(seed=seed)[0]]
        rng = np.random.default_rng(0)
        return np.stack(seen + [game.step(rng.integers(4))[0] for _ in range(25)])

    np.testing.assert_array_equal(play(1, 0.25), play(1, 0.25))
    assert (play(1, 0.25) != play(2, 0.25)).any()
    np.testing.assert_array_equal(play(1, 0.0), play(2, 0.0))
    assert (play(1, 0.25) != play(1, 0.0)).any()


@pytest.mark.parametrize(('old', 'new'), [(210, 84), (160, 84), (7, 7), (9, 4), (4, 9)])
def test_area(old, new):
    picture = np.random.default_rng(0).integers(0, 256, (old, 3), np.uint8)
    expected = np.repeat(picture.astype(float), new, 0).reshape(new, old, 3).mean(1)
    np.testing.assert_allclose(shrink(picture, *area(old, new)), expected, atol=1e-3)


def test_names_and_mistakes(monkeypatch):
    assert rom('ALE/MsPacman-v5') == rom('ms_pacman') == rom('MsPacman')
    with pytest.raises(UserError, match=r"'Breakot', which is none of the .* are breakout"):
        atari('Breakot')
    monkeypatch.setitem(sys.modules, 'ale_py', None)
    with pytest.raises(UserError, match=r"ale-py is not installed: pip install -e '\.\[rl\]'"):
        atari('Breakout')


@pytest.mark.oracles
def test_wrappers_of_stable_baselines():
    """The same frames, rewards and ends from the wrappers that agents are usually judged with."""
    theirs = pytest.importorskip('stable_baselines3.common.atari_wrappers')
    base = arcade('SpaceInvaders')
    env = theirs.MaxAndSkipEnv(theirs.NoopResetEnv(base, 30), 4)
    env = theirs.ClipRewardEnv(theirs.FireResetEnv(theirs.EpisodicLifeEnv(env)))
    base.reset(seed=0)
    base.unwrapped._np_random = np.random.default_rng(5)
    game = Atari(rom('SpaceInvaders'), **FIELDS)
    rng, ends = np.random.default_rng(0), 0
    seen, ours = env.reset()[0], game.reset(seed=5)[0]
    for _ in range(700):
        assert np.abs(average(seen) - ours[..., 0]).max() <= 0.501
        action = rng.integers(game.action_space.n)
        seen, reward, terminated, _, _ = env.step(action)
        ours, *rest = game.step(action)
        assert tuple(rest[:2]) == (reward, terminated)
        if terminated:
            seen, ours, ends = env.reset()[0], game.reset()[0], ends + 1
    assert ends >= 4


def test_all_actions_and_other_sizes():
    game = Atari(rom('Breakout'), **FIELDS | {'all_actions': True, 'size': (42, 50)})
    assert game.action_space.n == 18
    assert game.reset(seed=0)[0].shape == game.observation_space.shape == (42, 50, 1)
