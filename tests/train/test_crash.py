"""Runs that are killed, interrupted or run by several processes, in processes of their own."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
LIMIT = 120  # seconds after which a child is surely stuck


def start(workdir, *fields, **environment):
    """A child whose output is in `workdir`.log."""
    log = open(f'{workdir}.log', 'a')  # noqa: SIM115 (the child's to close)
    env = {**os.environ, 'JAX_NUM_CPU_DEVICES': '1', 'PYTHONPATH': str(TESTS.parent)}
    command = [sys.executable, str(TESTS / 'child.py'), str(workdir), *fields]
    env |= environment
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=TESTS)


def finish(workdir, *fields, **environment):
    child = start(workdir, *fields, **environment)
    assert child.wait(LIMIT) == 0, Path(f'{workdir}.log').read_text()


def rows(workdir):
    return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


def final(workdir):
    """Every leaf of the last checkpoint, by path."""
    import jax
    import small

    from jaxcv.train import paths
    from jaxcv.train.checkpoint import Checkpoints

    made = small.experiment(split=False)
    like = jax.eval_shape(made.init, jax.random.key(0))
    checkpoints = Checkpoints(workdir / 'checkpoints')
    step, tree, _ = checkpoints.restore(like)
    checkpoints.close()
    return step, {path: np.asarray(leaf) for path, leaf in paths.leaves(tree).items()}


def same(a, b):
    assert a[0] == b[0]
    for path, leaf in a[1].items():
        np.testing.assert_array_equal(leaf, b[1][path], err_msg=path)


@pytest.fixture(scope='module')
def reference(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('runs') / 'reference'
    finish(workdir)
    return workdir


def test_killed_at_any_moment_it_ends_the_same(reference, tmp_path):
    """Every other kill waits for a checkpoint that is being written."""
    workdir, dice, killed = tmp_path / 'killed', random.Random(0), 0
    for trial in range(4):
        child, before = start(workdir, 'train.checkpoint_every=1'), _checkpoints(workdir)
        deadline = time.time() + LIMIT
        while child.poll() is None and time.time() < deadline:
            new = _checkpoints(workdir) - before
            if any(trial % 2 == 0 or name.endswith('.writing') for name in new):
                break
            time.sleep(0.001)
        if trial % 2 == 0:
            time.sleep(dice.uniform(0, 0.3))
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
    assert killed == 4
    finish(workdir, 'train.checkpoint_every=1')
    same(final(workdir), final(reference))
    seen = [(row['step'], row['phase']) for row in rows(workdir)]
    assert len(seen) == len(set(seen))
    assert seen == [(row['step'], row['phase']) for row in rows(reference)]


def _checkpoints(workdir):
    folder = workdir / 'checkpoints'
    return set(os.listdir(folder)) if folder.exists() else set()


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_says_how_to_go_on(reference, tmp_path, number, code):
    workdir = tmp_path / 'run'
    long = ('train.steps=1000000', 'train.checkpoint_every=0', 'train.eval_every=0')
    child = start(workdir, *long)
    deadline = time.time() + LIMIT
    while not (workdir / 'metrics.jsonl').exists() or not rows(workdir):
        assert child.poll() is None and time.time() < deadline
        time.sleep(0.05)
    child.send_signal(number)
    assert child.wait(20) == code
    log = Path(f'{workdir}.log').read_text()
    assert 'saved at step' in log and 'the same command continues' in log
    saved, _ = final(workdir)
    assert 0 < saved < 1000000
    assert json.loads((workdir / 'result.json').read_text())['status'] == 'interrupted'


def test_two_processes_equal_one(tmp_path):
    """2 processes with 2 devices each train as 1 process with 4, and what they saved continues
    in one process."""
    one, two = tmp_path / 'one', tmp_path / 'two'
    finish(one, JAX_NUM_CPU_DEVICES='4')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        coordinator = f'127.0.0.1:{probe.getsockname()[1]}'
    children = [
        start(
            two,
            'train.steps=30',
            JAX_NUM_CPU_DEVICES='2',
            JAXCV_COORDINATOR=coordinator,
            JAXCV_PROCESSES='2',
            JAXCV_PROCESS=str(i),
        )
        for i in range(2)
    ]
    codes = [child.wait(LIMIT) for child in children]
    assert codes == [0, 0], Path(f'{two}.log').read_text()
    finish(two, 'train.steps=40', JAX_NUM_CPU_DEVICES='4')
    for a, b in zip(rows(one), rows(two), strict=True):
        if a['phase'] == 'train':
            np.testing.assert_allclose(a['loss'], b['loss'], rtol=1e-5)


def test_a_second_start_compiles_nothing(tmp_path):
    """The persistent cache serves every program of the second run, and is this user's alone."""
    cache = tmp_path / 'cache'
    counts = []
    for name in ('first', 'second'):
        finish(tmp_path / name, JAXCV_COUNT_CACHE='1', XDG_CACHE_HOME=str(cache))
        log = Path(f'{tmp_path / name}.log').read_text()
        counts.append([int(word) for word in log.split('cache hits, misses:')[1].split()[:2]])
    assert counts[0][1] > 0
    assert counts[1][1] == 0 and counts[1][0] > 0
    assert (cache / 'jaxcv' / 'xla').stat().st_mode & 0o077 == 0
