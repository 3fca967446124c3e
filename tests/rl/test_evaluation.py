"""An evaluation plays each environment's first episode to its end."""

import jax
import numpy as np
from counting import LIMIT, counting
from jax import numpy as jnp

from jaxcv.rl import evaluation, pictures
from jaxcv.rl.envs.vector import vectorize


def act(observation, start, carry, keys):
    return jnp.ones(len(start), jnp.int32), jnp.where(start, 0, carry) + 1


def played(n=16, limit=20, chance=0.3):
    keys = jax.random.split(jax.random.key(0), n)
    play = jax.jit(lambda keys: evaluation.episodes(
        vectorize(counting(chance)), act, jnp.zeros(n, jnp.int32), keys, limit
    ))  # fmt: skip
    return jax.tree.map(np.asarray, play(keys))


def test_first_episodes_only():
    found = played()
    assert found.ended.all() and found.lengths.max() == LIMIT and found.lengths.min() < LIMIT
    np.testing.assert_allclose(found.returns, 2.0 * found.lengths)  # 1 + action, each step


def test_the_limit_is_told():
    found = played(limit=3, chance=0.0)
    assert not found.ended.any()
    np.testing.assert_array_equal(found.lengths, 3)


def test_an_episode_depends_on_its_key_alone():
    np.testing.assert_array_equal(played(16).lengths[:4], played(4).lengths)


def test_scores():
    found = evaluation.scores(played())
    assert found['worst_return'] <= found['episode_return'] == 2 * found['episode_length']


def test_a_film_stands_still_where_an_episode_has_ended():
    keys = jax.random.split(jax.random.key(1), 4)
    envs = vectorize(counting(0.3))
    frames, running = evaluation.film(envs, act, jnp.zeros(4, jnp.int32), keys, 20)
    lengths = np.asarray(running).sum(0)
    assert frames.shape == (20, 4, 4, 6, 3) and 1 <= lengths.min() < lengths.max() <= LIMIT
    video = pictures.video(frames, running)
    assert len(video.frames) == lengths.max()
    for i, length in enumerate(lengths):
        row, column = divmod(i, 2)
        pixel = video.frames[-1][row * 6, column * 8, 0]
        assert pixel == 20 * (length - 1)
