"""Curves of runs, as a person would draw them."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def compare(*words, code=0):
    words = (sys.executable, '-m', 'experiments.compare', *words)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_two_runs(tmp_path):
    for name, pace in (('quick', 1), ('slow', 3)):
        (tmp_path / name).mkdir()
        rows = [
            {'step': step, 'phase': phase, 'time': 60.0 * pace * step}
            | {'psnr': 20.0 + step, 'ssim': 0.5 + step / 10}
            for step in (0, 2, 4)
            for phase in ('train', 'eval')
        ]
        text = ''.join(json.dumps(row) + '\n' for row in rows)
        (tmp_path / name / 'metrics.jsonl').write_text(text)
    runs = f'--runs={tmp_path}/quick,{tmp_path}/slow'
    said = compare(runs, '--metric=psnr', f'--out={tmp_path}/curves.png')
    assert '| quick | 4 | 24 |' in said and '| slow | 12 | 24 |' in said
    assert (tmp_path / 'curves.png').stat().st_size > 5000
    said = compare(runs, '--metric=psnr', '--against=steps', f'--out={tmp_path}/curves.png')
    assert '| run | steps | psnr |' in said and '| slow | 4 | 24 |' in said
    said = compare(runs, '--metric=psnr,ssim', f'--out={tmp_path}/curves.png')
    assert '| slow | 12 | 24 | 0.9 |' in said
    assert "'psnrr'" in compare(runs, '--metric=psnrr', code=2)
    assert 'no directory of a run' in compare(f'--runs={tmp_path}', '--metric=psnr', code=2)
