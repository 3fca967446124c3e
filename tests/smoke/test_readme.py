"""Every command that the README shows runs, with few steps."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from few import QUICK, few_of

from jaxcv.train.config import load

ROOT = Path(__file__).parents[2]
README = (ROOT / 'README.md').read_text()
FEW = ['--config.train.steps=3', '--config.train.eval_every=0']


def commands() -> list[str]:
    """Lines of bash blocks that start a launcher, in order."""
    blocks = re.findall(r'```bash\n(.*?)```', README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith('python -m')]


def few_for(words: list[str]) -> list[str]:
    """What makes a command short, but for what it says itself."""
    config = next(word for word in words if word.startswith('--config=')).partition('=')[2]
    given = [word.partition('=')[0] for word in words if word.startswith('--config.')]
    found = few_of(load(str(ROOT / config)))
    return [word for word in found if not any(word.startswith(f'{name}.') for name in given)]


@pytest.mark.smoke
def test_every_command_runs(tmp_path, needs):
    assert len(commands()) >= 5
    for command in commands():
        words = command.replace('runs/', f'{tmp_path}/').replace("'", '').split()[1:]
        words = [word.replace('=array.sh', f'={tmp_path}/array.sh') for word in words]
        extra = [*FEW, *few_for(words)] if 'experiments' in words[1] else []
        if words[1] == 'experiments.main':
            extra.append(f'--needs={needs}')
        done = subprocess.run(
            [sys.executable, *words, *extra], cwd=ROOT, env=QUICK, capture_output=True, text=True
        )
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert (tmp_path / 'sweep' / 'sweep.md').exists()
    assert (tmp_path / 'array.sh').exists()


@pytest.mark.smoke
def test_the_two_commands():
    blocks = re.findall(r'```bash\n(.*?)```', README, re.DOTALL)
    setup = [line for block in blocks for line in block.splitlines() if 'pip install' in line]
    assert setup == [
        'pip install -e . && python -m experiments.main'
        ' --config=configs/recognition/digits.py --workdir=runs/digits',
        "pip install -e '.[test]' && pytest",
    ]
