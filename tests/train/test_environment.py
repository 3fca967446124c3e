"""What a run ran on, and the command that runs it again."""

import json
import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import jax

from jaxcv.train import environment


def command(monkeypatch, argv, spec=None):
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(sys, 'executable', '/somewhere/bin/python')
    monkeypatch.setitem(sys.modules, '__main__', SimpleNamespace(__spec__=spec))
    return environment.describe()['command']


def test_the_command_is_what_was_typed(monkeypatch):
    argv = ['/a clone/experiments/main.py', '--config=a.py', '--config.x=(1, 2)']
    spec = ModuleSpec('experiments.main', None)
    expected = "python -m experiments.main --config=a.py '--config.x=(1, 2)'"
    assert command(monkeypatch, argv, spec) == expected
    assert command(monkeypatch, ['a b.py', '-v']) == "python 'a b.py' -v"
    package = ModuleSpec('pytest.__main__', None)
    assert command(monkeypatch, ['/x/pytest/__main__.py'], package) == 'python -m pytest'
    monkeypatch.setitem(sys.modules, 'ipykernel', SimpleNamespace())
    assert command(monkeypatch, ['kernel.json']) == ''


def test_the_description_is_json_and_names_the_machine():
    found = json.loads(json.dumps(environment.describe()))
    assert found['versions']['jax'] == jax.__version__
    assert found['versions']['jaxcv'] and found['versions']['numpy'][0].isdigit()
    assert found['devices'].startswith(f'{jax.device_count()} x ') and found['processes'] == 1
