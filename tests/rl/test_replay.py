"""The replay against lists of Python: what it holds, what it gives out, and where it lies."""

from collections import deque

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy import stats

from jaxcv.ops import across
from jaxcv.rl import replay
from jaxcv.rl.replay import Transition

DISCOUNT = 0.5  # powers of it are exact
N, CAPACITY = 3, 25  # 9 steps in each environment
ADD = jax.jit(replay.add)
SAMPLE = jax.jit(replay.sample, static_argnames=('each', 'lookahead'))


def history(seed, n, steps, odds=(0.6, 0.2, 0.2)):
    """Random steps of n environments. Observations are numbers that never occur twice."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, (steps, n), p=odds)
    numbers = iter(range(1, 10**6))
    now, out = np.array([next(numbers) for _ in range(n)]), []
    for kind in kinds:
        final = np.array([next(numbers) for _ in range(n)])
        out.append(
            Transition(
                observation=now.astype(np.int32),
                action=rng.integers(0, 5, n).astype(np.int32),
                reward=rng.integers(-3, 4, n).astype(np.float32),
                terminated=kind == 1,
                truncated=kind == 2,
                final=final.astype(np.int32),
            )
        )
        now = np.where(kind == 0, final, [next(numbers) for _ in range(n)])
    return out


def fill(steps, n=N, capacity=CAPACITY):
    number = jax.ShapeDtypeStruct((), jnp.int32)
    memory = replay.create(number, number, n, capacity)
    for step in steps:
        memory = ADD(memory, step)
    return memory


def expected(steps, lookahead=1):
    """For each environment the samples that may come, as (observation, action, reward, discount,
    following). A list of rows, of which the last ones count."""
    room = -(-CAPACITY // N)
    found = []
    for i in range(N):
        rows = deque(maxlen=room)
        for at, step in enumerate(steps):
            rows.append(at)
            if step.truncated[i]:
                rows.append(None)  # the last observation, in a row of its own
        rows = list(rows)[: len(rows) - lookahead + 1]
        found.append([_sample(steps, i, at, lookahead) for at in rows if at is not None])
    return found


def _sample(steps, i, at, lookahead):
    reward, discount = 0.0, 1.0
    for step in steps[at : at + lookahead]:
        reward += discount * step.reward[i]
        discount *= DISCOUNT
        following = step.final[i]
        if step.terminated[i]:
            discount, following = 0.0, None
        if step.terminated[i] or step.truncated[i]:
            break
    first = steps[at]
    return int(first.observation[i]), int(first.action[i]), float(reward), discount, following


def drawn(memory, each, lookahead=1, seed=0):
    """What `sample` gave, as lists for each environment; None for weight 0."""
    keys = across.keys(jax.random.key(seed), len(memory.written))
    got = SAMPLE(memory, keys, each=each, discount=DISCOUNT, lookahead=lookahead)
    rows = [
        (int(o), int(a), float(r), float(d), int(f) if d else None) if w else None
        for o, a, r, d, f, w in zip(*map(np.asarray, got), strict=True)
    ]
    return [rows[i : i + each] for i in range(0, len(rows), each)]


@settings(deadline=None, max_examples=40)
@given(steps=st.integers(3, 60), lookahead=st.sampled_from([1, 3]), seed=st.integers(0, 2**30))
def test_it_gives_out_exactly_what_a_list_holds(steps, lookahead, seed):
    steps = history(seed, N, steps)
    found = drawn(fill(steps), 300, lookahead, seed)
    for got, allowed in zip(found, expected(steps, lookahead), strict=True):
        # Of 9 steps one is missed in 300 draws with a probability of 4e-15.
        assert {x for x in got if x is not None} == set(allowed)


def test_steps_are_drawn_uniformly():
    steps = history(1, N, 40)
    found = drawn(fill(steps), 9000)
    for got, allowed in zip(found, expected(steps), strict=True):
        rows, valid = -(-CAPACITY // N), [x for x in got if x is not None]
        # Rows without a step are drawn as often as others, and no more.
        assert abs(len(valid) - 9000 * len(allowed) / rows) < 4 * np.sqrt(9000 / 4)
        counts = np.array([valid.count(x) for x in allowed])
        _, p = stats.chisquare(counts)
        assert p > 1e-3
    flat = [x for row in found for x in row]
    assert len({tuple(flat[i : i + 20]) for i in range(0, len(flat), 20)}) > len(flat) // 20 - 2


def test_everything_fits_when_nothing_is_truncated():
    steps = history(2, 4, 30, odds=(0.7, 0.3, 0.0))
    found = drawn(fill(steps, 4, 40), 400)  # 10 steps each
    for i, got in enumerate(found):
        assert {x[0] for x in got} == {step.observation[i] for step in steps[-10:]}


@pytest.mark.parametrize('layout', ['pmap', 'mesh'])
def test_eight_devices_hold_and_draw_what_one_does(layout):
    steps, n = history(3, 16, 30), 16
    number = jax.ShapeDtypeStruct((), jnp.int32)

    def fill_and_draw(memory, steps, key):
        memory = jax.lax.scan(lambda m, step: (replay.add(m, step), None), memory, steps)[0]
        keys = across.keys(key, len(memory.written))
        return memory, replay.sample(memory, keys, 4, DISCOUNT, 2)

    steps = jax.tree.map(lambda *xs: np.stack(xs), *steps)
    memory, key = replay.create(number, number, n, 160), jax.random.key(5)
    one = jax.jit(fill_and_draw)(memory, steps, key)
    if layout == 'pmap':
        parts = jax.tree.map(lambda x: x.reshape(8, 2, *x.shape[1:]), memory)
        many = jax.tree.map(lambda x: x.reshape(len(x), 8, 2, *x.shape[2:]), steps)
        run = jax.pmap(fill_and_draw, across.DATA, in_axes=(0, 1, None))
        found = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), run(parts, many, key))
    else:
        mesh = Mesh(np.array(jax.devices()), (across.DATA,))
        rows = NamedSharding(mesh, PartitionSpec(across.DATA))
        many = jax.device_put(steps, NamedSharding(mesh, PartitionSpec(None, across.DATA)))
        run = jax.jit(fill_and_draw, out_shardings=rows)
        compiled = run.lower(jax.device_put(memory, rows), many, key).compile()
        assert 'all-gather' not in compiled.as_text()  # no row leaves its device
        found = compiled(jax.device_put(memory, rows), many, key)
    jax.tree.map(np.testing.assert_array_equal, found, one)


def test_observations_keep_their_type_and_the_memory_is_written_in_place():
    image, number = jax.ShapeDtypeStruct((8, 8, 3), jnp.uint8), jax.ShapeDtypeStruct((), jnp.int32)
    memory = replay.create(image, number, 4, 4000)
    size = sum(x.nbytes for x in jax.tree.leaves(memory))
    assert memory.rows.observation.dtype == jnp.uint8
    assert size < 1.1 * 4000 * 8 * 8 * 3  # every observation once

    def steps(memory, new, key):
        def step(i, now):
            memory, total = now
            memory = replay.add(memory, new)
            keys = across.keys(jax.random.fold_in(key, i), 4)
            got = jax.lax.cond(
                i > 3,
                lambda: replay.sample(memory, keys, 8, DISCOUNT).following.mean(),
                lambda: 0.0,
            )
            return memory, total + got

        return jax.lax.fori_loop(0, 100, step, (memory, 0.0))

    flags, picture = jnp.zeros(4, bool), jnp.full((4, 8, 8, 3), 200, jnp.uint8)
    new = Transition(picture, jnp.zeros(4, jnp.int32), jnp.zeros(4), flags, flags, picture)
    compiled = jax.jit(steps, donate_argnums=0).lower(memory, new, jax.random.key(0)).compile()
    usage = compiled.memory_analysis()
    assert usage.alias_size_in_bytes >= size
    assert usage.temp_size_in_bytes < 0.1 * size
    memory, total = compiled(memory, new, jax.random.key(0))
    assert (
        memory.rows.observation.dtype == jnp.uint8 and memory.rows.observation[0, 5, 0, 0, 0] == 200
    )
    assert total == 96 * 200
