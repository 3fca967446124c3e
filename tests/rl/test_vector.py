"""Many environments: what happens where one episode ends and the next begins."""

import gymnasium
import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.ops import across
from jaxcv.rl.envs.gymnax import gymnax
from jaxcv.rl.envs.vector import vectorize

KEY = jax.random.key(0)
CARTPOLE = gymnax('CartPole-v1')


def run(env, keys, action, steps):
    """Observations acted on [t n ...] and results of one constant action."""
    envs = vectorize(env)
    observation, state = envs.reset(keys)

    def body(carry, time):
        observation, state = carry
        now = jax.vmap(lambda key: jax.random.fold_in(key, time))(keys)
        result = envs.step(now, state, jnp.full(len(keys), action))
        return (result.observation, result.state), (observation, result)

    return jax.lax.scan(body, (observation, state), jnp.arange(steps))[1]


def episodes(seen, result, n):
    """Per episode of environment n that ended: its first observation and its length."""
    ends = np.flatnonzero((result.terminated | result.truncated)[:, n])
    starts = np.concatenate([[0], ends[:-1] + 1])
    return [(np.asarray(seen[s, n]), e - s + 1) for s, e in zip(starts, ends, strict=True)]


def test_episodes_match_gymnasium():
    """Every episode under a constant force, from its own first state, lasts as long there: no row
    is lost to a reset and none is added."""
    keys = jax.random.split(KEY, 4)
    seen, result = jax.jit(lambda keys: run(CARTPOLE, keys, 1, 60))(keys)
    theirs = gymnasium.make('CartPole-v1')
    starts = set()
    for n in range(4):
        found = episodes(seen, result, n)
        assert len(found) >= 4
        for first, length in found:
            assert (np.abs(first) <= 0.05).all()
            starts.add(float(first[0]))
            theirs.reset(seed=0)
            theirs.unwrapped.state = first.astype(np.float64)
            steps, terminated = 0, False
            while not terminated:
                terminated, steps = theirs.step(1)[2], steps + 1
            assert steps == length
    assert len(starts) == sum(len(episodes(seen, result, n)) for n in range(4))  # fresh keys


def test_final_observation_is_the_one_reached():
    keys = jax.random.split(KEY, 4)
    seen, result = jax.jit(lambda keys: run(CARTPOLE, keys, 1, 40))(keys)
    done = result.terminated | result.truncated
    limit = CARTPOLE.params.theta_threshold_radians
    assert (np.abs(result.final[..., 2]) > limit)[done].all()  # fallen
    assert (np.abs(result.observation) <= 0.05).all(-1)[done].all()  # and begun again
    np.testing.assert_array_equal(result.final[~done], result.observation[~done])
    np.testing.assert_array_equal(seen[1:], result.observation[:-1])


def test_truncation_is_not_termination():
    env = gymnax('CartPole-v1', max_steps_in_episode=4)
    _, result = jax.jit(lambda keys: run(env, keys, 1, 12))(jax.random.split(KEY, 2))
    assert not result.terminated.any()
    np.testing.assert_array_equal(np.flatnonzero(result.truncated[:, 0]), [3, 7, 11])


def test_only_finished_environments_are_reset():
    """Environments of different ages: a neighbor's end leaves the others alone."""
    keys = jax.random.split(KEY, 3)
    alone = [jax.jit(lambda key: run(CARTPOLE, key, 1, 30))(keys[i : i + 1]) for i in range(3)]
    together = jax.jit(lambda keys: run(CARTPOLE, keys, 1, 30))(keys)
    for i in range(3):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[:, 0], b[:, i], atol=1e-6),
            alone[i],
            together,
        )


def test_vmapped_over_seeds():
    keys = jax.random.split(KEY, (2, 3))
    both = jax.jit(jax.vmap(lambda keys: run(CARTPOLE, keys, 1, 30)))(keys)
    for seed in range(2):
        one = jax.jit(lambda keys: run(CARTPOLE, keys, 1, 30))(keys[seed])
        jax.tree.map(
            lambda a, b, seed=seed: np.testing.assert_allclose(a, b[seed], atol=1e-6), one, both
        )


def test_same_on_eight_devices():
    """Keys follow the global place of an environment, so the number of devices does not show."""
    single = jax.jit(lambda: run(CARTPOLE, across.keys(KEY, 16), 1, 30))()
    shards = jax.pmap(lambda _: run(CARTPOLE, across.keys(KEY, 2), 1, 30), axis_name=across.DATA)(
        jnp.arange(8)
    )

    def joined(leaf):  # [devices t n ...] -> [t devices*n ...]
        leaf = np.moveaxis(np.asarray(leaf), 0, 1)
        return leaf.reshape(leaf.shape[0], -1, *leaf.shape[3:])

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, joined(b), atol=1e-6), single, shards)
    assert single[1].terminated.any()
