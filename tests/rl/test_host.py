"""Simulators on the host: gymnasium's own trajectories, in every layout, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from jax import numpy as jnp
from toy_simulators import Counter

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.rl.envs import host as module
from jaxcv.rl.envs.environment import Box, Discrete, MultiDiscrete
from jaxcv.rl.envs.host import after, host, simulators
from jaxcv.rl.envs.pool import KEPT, Pool

KEY = jax.random.key(0)


def toys(**fields):
    own = {name: fields.pop(name) for name in ('workers', 'stack', 'render') if name in fields}
    return simulators('toy', partial(Counter, **fields), **{'workers': 2, 'patience': 30.0} | own)


def parts(tree, count):
    """The leading axis in `count` parts."""
    size = len(jax.tree.leaves(tree)[0]) // count
    cuts = [slice(i * size, (i + 1) * size) for i in range(count)]
    return [jax.tree.map(lambda x, cut=cut: x[cut], tree) for cut in cuts]


def rollout(envs, keys, actions):
    """Steps [t n] as in training: groups are sent one after the other, then received."""

    def tick(now, action):
        pendings = []
        for state, seen, part in parts((*now, action), envs.groups):
            if pendings:
                seen = after(pendings[-1], seen)
            drift = 0 * seen.reshape(len(seen), -1).sum(1).astype(action.dtype)
            part = part + drift.reshape(len(seen), *[1] * (part.ndim - 1))
            pendings.append(envs.send(keys, state, part))
        pendings = [p._replace(turn=after(pendings[-1], p.turn)) for p in pendings]
        result = [envs.receive(pending) for pending in pendings]
        result = jax.tree.map(lambda *xs: jnp.concatenate(xs), *result)
        return (result.state, result.observation), result._replace(state=None)

    first, state = envs.reset(keys)
    (state, _), result = jax.lax.scan(tick, (state, first), actions)
    return first, state, result


@pytest.mark.parametrize(
    ('name', 'workers', 'steps'), [('CartPole-v1', 2, 60), ('Pendulum-v1', 0, 210)]
)
def test_gymnasium_itself(name, workers, steps):
    envs, n = host(name, workers=workers), 4
    theirs = gymnasium.make(name)
    rng = np.random.default_rng(0)
    if isinstance(envs.action, Discrete):
        actions = rng.integers(0, envs.action.n, (steps, n), np.int32)
    else:
        actions = rng.uniform(-2, 2, (steps, n, 1)).astype(np.float32)
    first, state, result = jax.jit(partial(rollout, envs))(jax.random.split(KEY, n), actions)
    for i in range(n):
        seen, _ = theirs.reset(seed=int(state.seed[i]))
        np.testing.assert_array_equal(first[i], np.float32(seen))
        for t in range(steps):
            seen, reward, terminated, truncated, _ = theirs.step(actions[t, i])
            np.testing.assert_array_equal(result.final[t, i], np.float32(seen))
            assert result.reward[t, i] == np.float32(reward)
            assert (result.terminated[t, i], result.truncated[t, i]) == (terminated, truncated)
            if terminated or truncated:
                seen, _ = theirs.reset()
            np.testing.assert_array_equal(result.observation[t, i], np.float32(seen))
    assert (result.terminated | result.truncated).sum() >= n


def test_layouts_agree_and_runs_repeat():
    """One program, the same again, eight devices that also exchange gradients, and a vmap."""
    envs = toys()
    keys, actions = across.keys(KEY, 32), jnp.arange(12 * 32).reshape(12, 32) % 3
    single = jax.jit(partial(rollout, envs))
    first, _, result = single(keys, actions)
    jax.tree.map(np.testing.assert_array_equal, result, single(keys, actions)[2])
    assert len(set(np.asarray(first)[:, 0])) == 32  # seeds of their own
    assert (single(across.keys(jax.random.key(1), 32), actions)[0] != first)[:, 0].any()

    def shard(actions):
        result = rollout(envs, across.keys(KEY, 4), actions)[2]
        return across.mean(result.reward.mean()), result

    shards = jax.pmap(shard, axis_name=across.DATA, in_axes=1)(actions.reshape(12, 8, 4))
    np.testing.assert_allclose(shards[0], result.reward.mean(), rtol=1e-6)

    def joined(leaf):  # [devices t n ...] -> [t devices*n ...]
        leaf = np.moveaxis(np.asarray(leaf), 0, 1)
        return leaf.reshape(leaf.shape[0], -1, *leaf.shape[3:])

    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, joined(b)), result, shards[1])

    both = jax.jit(jax.vmap(partial(rollout, envs), in_axes=(0, 1)))
    both = both(keys.reshape(8, 4), actions.reshape(12, 8, 4))[2]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, joined(b)), result, both)


def test_second_group_acts_while_the_first_simulates(monkeypatch):
    """The order of events in the compiled program, not their times."""
    events, envs = [], toys()
    send, receive = Pool.send, Pool.receive
    monkeypatch.setattr(Pool, 'send', lambda *a: events.append('send') or send(*a))
    monkeypatch.setattr(Pool, 'receive', lambda *a: events.append('receive') or receive(*a))

    def act(seen):
        events.append('act')
        return np.zeros(len(seen), np.int32)

    def tick(state, _):
        pendings = []
        for part in parts(state, 2):
            seen = after(pendings[-1], part.observation) if pendings else part.observation
            action = jax.pure_callback(act, jax.ShapeDtypeStruct((2,), jnp.int32), seen)
            pendings.append(envs.send(None, part, action))
        pendings = [p._replace(turn=after(pendings[-1], p.turn)) for p in pendings]
        states = [envs.receive(pending).state for pending in pendings]
        return jax.tree.map(lambda *xs: jnp.concatenate(xs), *states), None

    @jax.jit
    def run():
        return jax.lax.scan(tick, envs.reset(jax.random.split(KEY, 4))[1], None, 3)

    jax.block_until_ready(run())
    assert events == ['act', 'send', 'act', 'send', 'receive', 'receive'] * 3


@pytest.mark.parametrize('workers', [0, 1])
def test_resume_without_the_simulators(workers):
    """The first step of a restored state is truncated and leads to a new episode."""
    keys, action = jax.random.split(KEY, 3), jnp.ones(3, jnp.int32)
    old, new = toys(workers=workers, stack=2), toys(workers=workers, stack=2)
    _, state = old.reset(keys)
    for _ in range(2):
        state = old.step(keys, state, action).state
    restored = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), state)
    result = new.step(keys, restored, action)
    assert result.truncated.all() and not result.terminated.any() and (result.reward == 0).all()
    np.testing.assert_array_equal(result.final, state.observation)
    assert (result.observation[:, [1, 2, 5, 6]] == 0).all()  # episode, step: both frames the first
    assert (result.observation[:, 0] != state.observation[:, 0]).all()  # and not the old one again
    again = jax.tree.map(np.asarray, new.step(keys, result.state, action))
    assert not again.truncated.any() and (again.reward == 1).all()
    assert (again.observation[:, 6] == 1).all()


def test_old_states_and_other_programs():
    """A state used twice is no longer true; a second reset leaves the first one's states alone."""
    envs, keys, action = toys(workers=0), jax.random.split(KEY, 2), jnp.zeros(2, jnp.int32)
    _, state = jax.jit(envs.reset)(keys)
    result = envs.step(keys, state, action)
    jax.block_until_ready(jax.jit(lambda keys: envs.reset(keys))(keys))
    assert not envs.step(keys, result.state, action).truncated.any()
    assert envs.step(keys, state, action).truncated.all()


def test_simulators_of_old_programs_are_used_again():
    made = []
    envs = simulators('toy', lambda: made.append(1) or Counter(), workers=0)
    for i in range(KEPT + 4):
        seen, _ = envs.reset(jax.random.split(jax.random.key(i), 2))
        jax.block_until_ready(seen)
    assert sum(made) == 1 + 2 * KEPT  # one to see the spaces


def test_stack_and_picture():
    envs, keys = toys(workers=0, stack=3, render=True, length=2), jax.random.split(KEY, 2)
    seen, state = envs.reset(keys)
    assert envs.observation.shape == (12,) and (seen[:, 2::4] == 0).all()
    assert (envs.render(state) == 0).all() and envs.render(state).shape == (2, 2, 3, 3)
    result = envs.step(keys, state, jnp.ones(2, jnp.int32))
    assert (result.observation[:, 2::4] == jnp.array([0, 0, 1])).all()
    assert (envs.render(result.state) == 1).all()
    result = envs.step(keys, result.state, jnp.ones(2, jnp.int32))
    assert result.terminated.all()
    assert (result.final[:, 2::4] == jnp.array([0, 1, 2])).all()
    assert (result.observation[:, 2::4] == 0).all() and (result.observation[:, 1::4] == 1).all()


@pytest.mark.parametrize(
    ('kind', 'workers', 'patience', 'sentence'),
    [
        ('raise', 2, 60, 'simulators of toy: ValueError: the wheel came off'),
        ('raise', 0, 60, 'simulators of toy: ValueError: the wheel came off'),
        ('die', 2, 60, 'simulators of toy: a worker process has died'),
        ('hang', 1, 3, 'a worker process has not answered for 3 seconds'),
    ],
)
def test_trouble_is_reported(kind, workers, patience, sentence):
    make = partial(Counter, trouble=4, kind=kind)
    envs = simulators('toy', make, workers=workers, patience=patience)
    keys = jax.random.split(KEY, 4)
    with pytest.raises(jax.errors.JaxRuntimeError, match=sentence):
        jax.block_until_ready(jax.jit(partial(rollout, envs))(keys, jnp.zeros((9, 4), jnp.int32)))


PROGRAM = """
import os, signal, sys
from functools import partial
import jax, numpy as np
from toy_simulators import Counter
from jaxcv.rl.envs.host import simulators
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
envs = simulators('toy', partial(Counter, shape=(5,), seconds=0.01), workers=2)
keys = jax.random.split(jax.random.key(0), 4)
seen, state = envs.reset(keys)
print(*sorted(set(np.asarray(seen)[:, 4].astype(int))), flush=True)
if sys.argv[1] == 'kill':
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == 'interrupt':
    action = jax.numpy.zeros(4, 'int32')
    def step(state, i):
        jax.debug.callback(lambda i: print('step', i, flush=True), i)
        return envs.step(keys, state, action).state, None
    jax.block_until_ready(jax.jit(lambda s: jax.lax.scan(step, s, jax.numpy.arange(1000)))(state))
"""


@pytest.mark.parametrize('end', ['exit', 'kill', 'interrupt'])
def test_nothing_is_left_behind(end):
    paths = [str(Path(__file__).parent), *sys.path]
    child = subprocess.Popen(
        [sys.executable, '-c', PROGRAM, end],
        env=os.environ | {'PYTHONPATH': os.pathsep.join(paths), 'JAX_PLATFORMS': 'cpu'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = [int(pid) for pid in child.stdout.readline().split()]
    assert len(workers) == 2 and child.pid not in workers
    if end == 'interrupt':
        child.stdout.readline()  # the program runs
        os.killpg(child.pid, signal.SIGINT)  # as Ctrl-C does: to parent and workers
    trace = child.communicate(timeout=60)[1]
    assert (end == 'interrupt') == ('KeyboardInterrupt' in trace)
    assert not [word for word in ('leak', 'UserError', 'worker.py') if word in trace]
    deadline = time.time() + 20
    while any(map(alive, workers)) and time.time() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(pid):
    """Whether a process runs; one that waits to be reaped by the system's first does not."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def test_spaces():
    def ours(space):
        return module.translated('toy', 'observation', space)

    assert ours(spaces.Discrete(5, start=2)) == Discrete(5)
    assert ours(spaces.MultiDiscrete([2, 3])) == MultiDiscrete((2, 3))
    assert ours(spaces.Box(0, 255, (4, 4, 3), np.uint8)) == Box((4, 4, 3), 0, 255, np.uint8)
    bounds = spaces.Box(np.array([-1.0, 0.0]), np.array([np.inf, 2.0]), dtype=np.float64)
    assert ours(bounds) == Box((2,), -1, np.inf, np.float32)
    with pytest.raises(UserError, match=r"observation space of toy is Dict\('a'.*but must be"):
        ours(spaces.Dict(a=spaces.Discrete(2)))


def test_choices_that_do_not_begin_at_zero():
    from jaxcv.rl.envs.worker import spoken

    space = spaces.Discrete(3, start=-1)
    assert [spoken(space)(np.int32(action)) for action in range(3)] == [-1, 0, 1]
    assert space.contains(spoken(space)(np.int32(2)))
    many = spaces.MultiDiscrete([2, 2], start=[4, 5])
    assert many.contains(spoken(many)(np.array([1, 0], np.int32)))


def test_mistakes(monkeypatch):
    with pytest.raises(UserError, match=r"'CartPole-v9', which does not exist.*CartPole-v1"):
        host('CartPole-v9')
    with pytest.raises(UserError, match=r'Pendulum-v1 cannot be made: .*gravity_'):
        host('Pendulum-v1', gravity_=3)
    with pytest.raises(UserError, match='cannot be sent to worker processes'):
        simulators('toy', lambda: Counter(), workers=1)
    with pytest.raises(UserError, match='stack needs arrays'):
        host('FrozenLake-v1', stack=2)
    monkeypatch.setitem(sys.modules, 'gymnasium', None)
    with pytest.raises(UserError, match=r"gymnasium is not installed: pip install -e '\.\[rl\]'"):
        host('CartPole-v1')
