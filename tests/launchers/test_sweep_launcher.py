"""The sweep as a process: what it does when runs fail, and when it or its workers are killed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxcv.sweep import slurm
from jaxcv.sweep.share import slots
from jaxcv.sweep.workers import Job, Workers, holder
from jaxcv.train.interrupt import lock

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT = 60  # seconds after which something is surely stuck
CONFIG = """
import ml_collections

def get_config():
    return ml_collections.ConfigDict({'experiment': 'small', 'train': {'steps': 3}})
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'small.py'
    file.write_text(CONFIG)
    return file


def start(tmp_path, *words):
    words = (f'--config={tmp_path / "small.py"}', f'--workdir={tmp_path / "sweep"}', *words)
    paths = os.pathsep.join([str(ROOT), str(HERE)])
    return subprocess.Popen(
        [sys.executable, str(HERE / 'fake_sweep.py'), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, 'PYTHONPATH': paths},
    )


def finish(child) -> tuple[int, str]:
    output, _ = child.communicate(timeout=LIMIT)
    return child.returncode, output


def wait_for(condition):
    deadline = time.time() + LIMIT
    while not condition():
        assert time.time() < deadline
        time.sleep(0.02)


def starts(directory):
    return len((directory / 'starts').read_text().splitlines())


def steps(directory):
    lines = (directory / 'metrics.jsonl').read_text().splitlines()
    return [json.loads(line)['step'] for line in lines]


def test_a_failing_run_stops_no_other_and_is_tried_again(config, tmp_path):
    words = ('--sweep=optim.lr=1,13', '--sweep=seed=0:2', '--workers=2', '--config.train.steps=2')
    code, output = finish(start(tmp_path, *words))
    assert code == 1 and output.count('13 brings bad luck') == 4  # as it happens, and in the table
    workdir = tmp_path / 'sweep'
    good, bad = workdir / 'optim.lr=1.0,seed=1', workdir / 'optim.lr=13.0,seed=1'
    assert steps(good) == [1, 2] and '(not the reason)' in (bad / 'log.txt').read_text()
    with open(workdir / 'sweep.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['status'] for row in rows] == ['finished', 'finished', 'failed', 'failed']
    assert [row['accuracy'] for row in rows] == ['0.5', '0.6', '', '']
    assert rows[2]['error'] == '13 brings bad luck'
    assert '0.55 ± 0.071' in (workdir / 'sweep.md').read_text()

    code, output = finish(start(tmp_path, *words))
    assert code == 1 and '2 of 4 runs had finished before' in output
    assert (starts(good), starts(bad)) == (1, 2)


def held(workdir, *names):
    """Directories of runs that will wait before step 3."""
    found = [workdir / name for name in names]
    for directory in found:
        directory.mkdir(parents=True)
        (directory / 'hold').touch()
    return found


def waits(directory):
    return (directory / 'saved').exists() and (directory / 'saved').read_text() == '2'


def test_a_killed_sweep_is_continued_beside_its_orphan(config, tmp_path):
    """The first run goes on without its parent; the next sweep waits for it and starts none on
    the same directory."""
    words = ('--sweep=seed=0:2', '--workers=1', '--config.train.steps=4')
    (orphan,) = held(tmp_path / 'sweep', 'seed=0')
    child = start(tmp_path, *words)
    wait_for(lambda: waits(orphan))
    child.kill()
    child.wait()
    assert holder(orphan) > 0
    child = start(tmp_path, *words)
    assert '2 to do' in child.stdout.readline()
    assert f'process {holder(orphan)} is still at it' in child.stdout.readline()
    (orphan / 'hold').unlink()
    assert finish(child)[0] == 0
    for directory in (orphan, tmp_path / 'sweep' / 'seed=1'):
        assert steps(directory) == [1, 2, 3, 4] and starts(directory) == 1


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_runs_and_the_same_command_continues(config, tmp_path, number, code):
    words = ('--sweep=seed=0:3', '--workers=2', '--config.train.steps=5')
    running = held(tmp_path / 'sweep', 'seed=0', 'seed=1')
    child = start(tmp_path, *words)
    wait_for(lambda: all(map(waits, running)))
    child.send_signal(number)
    found, output = finish(child)
    assert found == code and 'the same command continues' in output, output
    for directory in running:
        assert json.loads((directory / 'result.json').read_text())['status'] == 'interrupted'
        (directory / 'hold').unlink()
    assert not (tmp_path / 'sweep' / 'seed=2').exists()
    assert 'interrupted' in (tmp_path / 'sweep' / 'sweep.md').read_text()
    if number == signal.SIGTERM:
        assert finish(start(tmp_path, *words))[0] == 0
        for directory in running:
            assert steps(directory) == [1, 2, 3, 4, 5] and starts(directory) == 2


def test_two_sweeps_in_one_place_are_refused(config, tmp_path):
    (tmp_path / 'sweep').mkdir()
    with lock(tmp_path / 'sweep'):
        code, output = finish(start(tmp_path, '--sweep=seed=0:2'))
    assert code == 2 and f'in use by another run (process {os.getpid()})' in output


def test_a_killed_worker_is_started_once_more(tmp_path, capsys):
    (directory,) = held(tmp_path, 'run')
    words = (str(HERE / 'fake_run.py'), '--config.train.steps=8', '--config.seed=0')
    job = Job('run', (*words, f'--workdir={directory}'), directory, 8, ('run',))
    outcomes = []

    def kill():
        wait_for(lambda: waits(directory))
        (directory / 'hold').unlink()
        os.kill(holder(directory), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    Workers([job], slots(1), lambda _, outcome: outcomes.append(outcome), lambda _: True).run()
    killer.join()
    assert [outcome.error for outcome in outcomes] == ['']
    assert steps(directory) == list(range(1, 9)) and starts(directory) == 2
    assert 'starting it once more' in capsys.readouterr().out


def test_a_mistake_is_told_before_anything_starts(config, tmp_path):
    code, output = finish(start(tmp_path, '--sweep=optim.lrr=1,2'))
    assert code == 2 and "did you mean 'lr'" in output and 'Traceback' not in output
    assert not (tmp_path / 'sweep').exists()


def test_the_machine_is_divided():
    environment = {'CUDA_VISIBLE_DEVICES': '2,5'}
    assert [dict(s.variables)['CUDA_VISIBLE_DEVICES'] for s in slots(0, environment)] == ['2', '5']
    shared = [dict(slot.variables) for slot in slots(3, environment)]
    assert [found['CUDA_VISIBLE_DEVICES'] for found in shared] == ['2', '5', '2']
    assert all(found['XLA_PYTHON_CLIENT_MEM_FRACTION'] == '0.45' for found in shared)
    parts = [slot.cores for slot in slots(2, {'JAX_PLATFORMS': 'cpu'})]
    if hasattr(os, 'sched_getaffinity') and len(os.sched_getaffinity(0)) > 1:
        assert frozenset.union(*parts) == os.sched_getaffinity(0) and not parts[0] & parts[1]


@pytest.mark.skipif(not shutil.which('bash'), reason='needs bash')
def test_the_slurm_script_runs_the_command_of_its_task(tmp_path):
    """A task's words arrive as they are, whatever is in them."""
    words = [
        ('-m', 'experiments.main', f'--config.model.name={x}') for x in ("a 'b' $c", '*', '(1)')
    ]
    jobs = [Job(str(i), w, Path(str(i)), 1, (str(i),)) for i, w in enumerate(words)]
    text = slurm.script(jobs, Path('runs/sweep'), 2, 'the table')
    assert '#SBATCH --array=0-2%2\n' in text
    file = tmp_path / 'sweep.sh'
    file.write_text(text)
    python = tmp_path / 'python'
    python.write_text('#!/bin/bash\npwd\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    for task, expected in [*enumerate(words), (3, None)]:
        env = {**os.environ, 'PYTHON': str(python), 'SLURM_ARRAY_TASK_ID': str(task)}
        env['SLURM_SUBMIT_DIR'] = str(tmp_path)
        found = subprocess.run(['bash', file], env=env, capture_output=True, text=True)
        if expected is None:
            assert found.returncode == 2 and 'no task 3' in found.stderr
        else:
            assert found.stdout.splitlines() == [str(tmp_path), *expected]
