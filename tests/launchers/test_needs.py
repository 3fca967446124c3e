"""Runs that need runs, by the launcher's own pieces."""

import json
import os

import pytest

import experiments
from jaxcv.errors import UserError
from jaxcv.train import run
from jaxcv.train.config import load
from jaxcv.train.interrupt import Interrupted, Interrupts

STAGE = {'model': {'name': 'mlp'}, 'train': {'steps': 6, 'checkpoint_every': 3}}
FILE = 'configs/recognition/digits.py'


def config(**need):
    student = load('configs/recognition/digits_student.py', {'train.steps': 6})
    student.needs = {'teacher': {'config': FILE, 'overrides': STAGE, **need}}
    return student


@pytest.fixture
def trained(tmp_path):
    """(root of needed runs, student's result) after one launch."""
    student = config()
    made = experiments.build(student, tmp_path / 'needs')
    return tmp_path / 'needs', run(made, student, tmp_path / 'student')


def test_one_launch_trains_both_and_shares_the_first(trained, tmp_path, capsys):
    needs, result = trained
    assert 0 < result.metrics['teacher_agreement'] < 1
    assert 0 < result.metrics['teacher_alignment'] < 1
    (stage,) = needs.iterdir()
    written = (stage / 'result.json').stat().st_mtime_ns
    experiments.build(config(), needs)
    assert [stage] == list(needs.iterdir())
    assert (stage / 'result.json').stat().st_mtime_ns == written
    assert json.loads((stage / 'result.json').read_text())['step'] == 6


def test_itself_it_is_perfectly_alike(trained, tmp_path):
    needs, _ = trained
    (stage,) = needs.iterdir()
    student = config(run=str(stage))
    student.train.init_from = str(stage)
    student.train.steps = 1
    student.optim.lr = 0.0
    result = run(experiments.build(student, needs), student, tmp_path / 'same')
    assert result.metrics['teacher_agreement'] == 1
    assert result.metrics['teacher_alignment'] == pytest.approx(1, abs=1e-4)


def test_interrupted_in_the_first_stage_it_resumes_there(tmp_path, monkeypatch):
    def stopped(self, step):
        return 15 if step >= 3 else 0

    with monkeypatch.context() as patch:
        patch.setattr(Interrupts, 'at', stopped)
        with pytest.raises(Interrupted):
            experiments.build(config(), tmp_path)
    (stage,) = tmp_path.iterdir()
    assert json.loads((stage / 'result.json').read_text())['status'] == 'interrupted'
    first = os.stat(stage / 'checkpoints' / '00000003').st_mtime_ns
    experiments.build(config(), tmp_path)
    assert json.loads((stage / 'result.json').read_text())['step'] == 6
    assert os.stat(stage / 'checkpoints' / '00000003').st_mtime_ns == first


def test_a_given_run_must_fit(trained, tmp_path):
    needs, _ = trained
    (stage,) = needs.iterdir()
    experiments.build(config(run=str(stage)), tmp_path / 'other')
    assert not (tmp_path / 'other').exists()
    wrong = config(run=str(stage))
    wrong.needs.teacher.overrides = STAGE | {'model': {'name': 'cnn'}}
    with pytest.raises(UserError, match=r"does not fit: config\.model\.name was 'mlp', now 'cnn'"):
        experiments.build(wrong, needs)
    with pytest.raises(UserError, match='not the directory of a finished run'):
        experiments.build(config(run=str(tmp_path)), needs)
    result = json.loads((stage / 'result.json').read_text())
    result['fingerprint'] = 'of an older version of the code'
    (stage / 'result.json').write_text(json.dumps(result))
    with pytest.raises(UserError, match='its outputs are of another version'):
        experiments.build(config(run=str(stage)), needs)
    result['status'] = 'interrupted'
    (stage / 'result.json').write_text(json.dumps(result))
    with pytest.raises(UserError, match='interrupted, not finished'):
        experiments.build(config(run=str(stage)), needs)
