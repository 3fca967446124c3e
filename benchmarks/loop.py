"""What the engine adds around a step: the loop, the calls, the start."""

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import ml_collections
import numpy as np
from jax import numpy as jnp

from benchmarks.case import Case
from benchmarks.record import record
from jaxcv.train import Experiment, run
from jaxcv.train.records import read

ROOT = Path(__file__).parents[1]
CONFIG = 'configs/recognition/digits.py'


def products(width: int, count: int) -> Experiment:
    """A step of `count` products of width x width matrices."""

    def init(key):
        return {'x': jax.random.normal(key, (width, width)) / width**0.5}

    def step(state, batch, key):
        x = state['x']
        for _ in range(count):
            x = jnp.tanh(x @ state['x'])
        return {'x': x}, {'loss': jnp.square(x).mean(), 'mean': x.mean()}

    return Experiment(init=init, step=step)


def engine_seconds(made: Experiment, steps: int, per_call: int) -> float:
    """Seconds per step inside a run, between two of its own log lines."""
    section = {
        'steps': 2 * steps, 'steps_per_call': per_call, 'log_every': steps // 4, 'batch_size': 8,
        'checkpoint_every': 0,
    }  # fmt: skip
    config = ml_collections.ConfigDict({'experiment': 'products', 'train': section})
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        run(made, config, folder, devices=jax.devices()[:1])
        at = {row['step']: row['time'] for row in read(Path(folder)) if row['phase'] == 'train'}
    # The last line waits for the end of the run, the first quarter for compilation.
    return (at[steps + steps // 2] - at[steps // 2]) / steps


def bare_seconds(made: Experiment, steps: int) -> float:
    """Seconds per step of the same step in a bare loop over the jitted function."""
    step = jax.jit(lambda state: made.step(state, None, None), donate_argnums=0)
    state, _ = step(made.init(jax.random.key(0)))
    jax.block_until_ready(state)
    start = time.perf_counter()
    for _ in range(steps):
        state, metrics = step(state)
    jax.block_until_ready((state, metrics))
    return (time.perf_counter() - start) / steps


def in_turn(*sides, repeats: int = 5) -> list[dict[str, float]]:
    """Minimum and median of functions that time themselves."""
    times = [[side() for side in sides] for _ in range(repeats)]
    return [{'min': min(t), 'median': statistics.median(t)} for t in zip(*times, strict=True)]


def loop_overhead():
    """A step of about 5 ms in a run, against a bare loop; a run held to single calls is in the
    detail."""
    count = 4
    while bare_seconds(products(512, count), 20) < 0.005:
        count += 1
    made = products(512, count)
    ours, single, peer = in_turn(
        lambda: engine_seconds(made, 200, 0),
        lambda: engine_seconds(made, 200, 1),
        lambda: bare_seconds(made, 200),
        repeats=8,
    )
    detail = {'single_calls': single, 'products': count}
    return record('loop_overhead', ours, peer, 'bare jitted loop', detail)


def steps_per_call():
    """100 steps a call against single calls, for a step of about 0.1 ms in a bare loop."""
    made = products(32, 3)
    ours, peer = in_turn(
        lambda: engine_seconds(made, 4000, 100), lambda: engine_seconds(made, 1000, 1)
    )
    bare = in_turn(lambda: bare_seconds(made, 1000))[0]
    return record('steps_per_call', ours, peer, 'single calls', {'bare_loop': bare})


def input_pipeline():
    """Seconds per batch of 128 digits, against a torch DataLoader over the same arrays."""
    from jaxcv import data

    images = data.arrays(data.load('digits', 'train'))
    opened = data.stream(images, 128).open(0, 0, 1)
    sides = [lambda: _per_batch(opened)]
    with contextlib.suppress(ImportError):
        sides.append(torch_loader(images))
    ours, *peer = in_turn(*sides)
    detail = {'images_per_second': 128 / ours['min']}
    name = 'torch DataLoader, no workers'
    return record('input_pipeline', ours, peer[0] if peer else None, name, detail)


def torch_loader(arrays):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    tensors = TensorDataset(*(torch.tensor(np.asarray(x)) for x in arrays.values()))

    def endless():
        while True:
            yield from DataLoader(tensors, 128, shuffle=True, drop_last=True)

    batches = endless()
    return lambda: _per_batch(batches)


def _per_batch(iterator, count=300):
    start = time.perf_counter()
    for _ in range(count):
        next(iterator)
    return (time.perf_counter() - start) / count


def import_time():
    """`import jaxcv` and its engine, after jax, flax and optax, which are the peer."""
    script = (
        'import time; a = time.perf_counter(); import jax, flax.linen, optax;'
        ' b = time.perf_counter(); import jaxcv; c = time.perf_counter(); import jaxcv.train;'
        ' d = time.perf_counter(); print(c - b, d - c, b - a)'
    )
    runs = []
    for _ in range(5):
        out = subprocess.run([sys.executable, '-c', script], capture_output=True, check=True)
        runs.append([float(word) for word in out.stdout.split()])
    package, engine, peer = (
        {'min': min(t), 'median': statistics.median(t)} for t in zip(*runs, strict=True)
    )
    return record('import_time', package, peer, 'jax, flax, optax', {'jaxcv.train': engine})


def second_start():
    """The digits for ten steps, compiled before, against the first time."""
    with tempfile.TemporaryDirectory() as cache:
        times = [_launch(cache, '--config.train.steps=10')[0] for _ in range(3)]
    first, later = times[0], times[1:]
    ours = {'min': min(later), 'median': statistics.median(later)}
    return record('second_start', ours, {'min': first, 'median': first}, 'first start')


def digits():
    """The README's training command with nothing cached; the accuracy is in the detail."""
    with tempfile.TemporaryDirectory() as cache:
        seconds, accuracy = _launch(cache)
    taken = {'min': seconds, 'median': seconds}
    return record('digits', taken, None, 'none', {'accuracy': accuracy})


def _launch(cache, *fields):
    """(wall seconds, test accuracy) of the launcher in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'experiments.main', f'--config={CONFIG}']
        start = time.perf_counter()
        subprocess.run(
            [*command, f'--workdir={folder}/run', *fields],
            cwd=ROOT, env={**os.environ, 'XDG_CACHE_HOME': cache}, capture_output=True, check=True,
        )  # fmt: skip
        rows = [row for row in read(Path(folder) / 'run') if row['phase'] == 'eval']
        return time.perf_counter() - start, rows[-1]['accuracy']


CASES = [
    Case(loop_overhead),
    Case(steps_per_call),
    Case(input_pipeline),
    Case(import_time),
    Case(second_start),
    Case(digits),
]
