"""The command that shows Gaussians in a browser."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import numpy as np

from jaxcv.splat import Gaussians, files, viewer

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LIMIT = 60  # seconds after which something is surely stuck


def scene(count=30, seed=0):
    draw = np.random.default_rng(seed)
    shapes = (count, 3), (count, 3), (count, 4), (count,), (count, 4, 3)
    return Gaussians(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))


def child(*words):
    done = subprocess.run(
        [sys.executable, str(HERE / 'splat_view_child.py'), *words],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_file_is_written_as_a_page_and_mistakes_are_told(tmp_path):
    ply, page = tmp_path / 'scene.ply', tmp_path / 'scene.html'
    files.write(ply, scene())
    given, out = f'--ply={ply}', f'--out={page}'
    wrong = tmp_path / 'wrong.spz'
    wrong.write_bytes(b'nothing')
    empty = tmp_path / 'run'
    empty.mkdir()
    other = tmp_path / 'scene.obj'
    other.write_text('')
    lines = {
        (given, out, '--up=z', '--background=black'): (0, r'scene\.html: 0\.0 MB'),
        (out,): (2, 'give one of --workdir, a run, and --ply, a file of Gaussians'),
        (given, out, '--workdir=runs'): (2, 'give one of --workdir'),
        (given, 'more'): (2, "'more' is no flag of this command"),
        (given, '--config.seed=3'): (2, "'seed=3' is no flag of this command"),
        ('--ply=absent.ply',): (2, 'absent.ply cannot be read: No such file'),
        (f'--ply={wrong}',): (2, r'wrong\.spz is truncated or no SPZ file'),
        (f'--ply={other}',): (2, r"the suffix of .* is '\.obj', but must be one of"),
        (f'--workdir={empty}',): (2, 'run is not the directory of a run'),
        (given, f'--out={tmp_path}'): (2, 'cannot be written: Is a directory'),
        (given, '--port=99999'): (2, 'choose another --port'),
    }
    told = child('words', json.dumps([[*line] for line in lines]))
    for (line, (code, words)), (found, said) in zip(lines.items(), told, strict=True):
        assert found == code and re.search(words, said), (line, found, said)
        assert len(said.splitlines()) == 1 and said.startswith('error: ' if code else str(page))
    started = json.loads(re.search(r'id=start>(.*?)</script>', page.read_text())[1])
    assert started['title'] == 'scene.ply' and started['background'] == 'black'
    assert started['view']['up'] == [0, 0, 1]


def test_a_run_is_followed(tmp_path):
    *told, nothing, other, whole = child('run', str(tmp_path))
    assert told[0].endswith('has no checkpoint that reads: train it first')
    assert told[1:] == [[6, 'step 3'], [3, 'step 1,200'], [6, 'step 3']]  # the last is damaged
    assert nothing == other and other.endswith('an experiment that exports no Gaussians')
    assert whole == [6, 'step 3']


def test_a_file_is_served_and_read_again(tmp_path):
    ply = tmp_path / 'scene.ply'
    files.write(ply, scene())
    process = subprocess.Popen(
        [sys.executable, '-m', 'experiments.view', f'--ply={ply}', '--port=0'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        said = process.stdout.readline()
        address = re.search(r'scene\.ply.*: (http://127\.0\.0\.1:\d+/) ', said)[1]
        page = urlopen(address, timeout=LIMIT).read().decode()
        started = json.loads(re.search(r'id=start>(.*?)</script>', page)[1])
        assert started['source'] == '/scene'
        for seed in (0, 1):
            files.write(ply, scene(seed=seed))
            os.utime(ply, (seed, seed))
            found = urlopen(f'{address}scene', timeout=LIMIT).read()
            assert found == viewer.pack(scene(seed=seed))
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0, process.stderr.read()
    finally:
        process.kill()
        process.communicate()
