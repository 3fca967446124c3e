"""Environments by name, as configs spell them."""

import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.rl.envs import make
from jaxcv.rl.envs.environment import Box, Environment
from jaxcv.rl.envs.vector import Environments

KEYS = jax.random.split(jax.random.key(0), 2)


def test_environments():
    envs = make.environments('gymnax:CartPole-v1', params={'max_steps_in_episode': 7})
    assert isinstance(envs, Environments) and envs.name == 'CartPole-v1'
    assert envs.reset(KEYS)[0].shape == (2, 4)
    one = make.environment('CartPole-v1', params={'max_steps_in_episode': 7})
    assert isinstance(one, Environment) and one.params.max_steps_in_episode == 7
    assert make.environment('navix:Navix-Empty-5x5-v0').observation.shape == (40, 40, 3)


def test_wrappers_keep_their_order_in_a_config():
    """A ConfigDict sorts its keys, so the order cannot come from there."""
    config = ml_collections.ConfigDict()
    config.wrappers = {'pixels': {'size': 16}, 'gray': {}, 'frame_stack': {'count': 4}}
    envs = make.environments('gymnax:CartPole-v1', **config.to_dict())
    assert envs.observation == Box((16, 16, 4), 0, 255, np.uint8)
    assert envs.reset(KEYS)[0].shape == (2, 16, 16, 4)


def test_names():
    names = make.names()
    assert {'gymnax:CartPole-v1', 'gymnax:Breakout-MinAtar'} <= set(names)
    assert 'navix:Navix-Empty-8x8-v0' in names


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'name': 'atari:Pong'}, 'one of ale, gymnasium, gymnax, navix'),
        ({'name': 'CartPole-v2'}, "did you mean 'CartPole-v1'"),
        ({'name': 'CartPole-v1', 'params': {'steps': 3}}, 'a parameter of CartPole-v1'),
        ({'name': 'CartPole-v1', 'wrappers': {'stack': {}}}, "did you mean 'frame_stack'"),
        ({'name': 'CartPole-v1', 'wrappers': {'frame_stack': {'n': 3}}}, 'takes count'),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(UserError, match=message):
        make.environments(**arguments)


@pytest.mark.parametrize('name', ['gymnax:CartPole-v1', 'navix:Navix-Empty-8x8-v0'])
def test_missing_package(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name.split(':')[0], None)
    with pytest.raises(UserError, match=r"pip install -e '.\[rl\]'"):
        make.environments(name)


def test_import_is_cheap():
    code = (
        'import sys, jaxcv.rl.envs.make; '
        'print([m for m in ("gymnax", "navix", "gymnasium", "ale_py", "matplotlib") '
        'if m in sys.modules])'
    )
    assert subprocess.check_output([sys.executable, '-c', code], text=True).strip() == '[]'
