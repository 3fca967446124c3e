"""Initial values from another run, and the report."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.train.checkpoint import Checkpoints
from jaxcv.train.initialize import initialize


@pytest.fixture
def run(tmp_path):
    checkpoints = Checkpoints(tmp_path / 'checkpoints')
    params = {'conv': {'kernel': jnp.full((2, 2), 3.0)}, 'head': {'kernel': jnp.ones((4, 10))}}
    checkpoints.save(7, {'params': params, 'step': jnp.int32(7)}, {})
    checkpoints.close()
    return tmp_path


def fresh():
    backbone = {'conv': {'kernel': jnp.zeros((2, 2)), 'bias': jnp.zeros(2)}}
    return {'params': {'backbone': backbone, 'head': {'kernel': jnp.zeros((4, 5))}}}


def test_by_pattern_with_a_report(run):
    rules = {'params/backbone/**': 'params/**', 'params/head/**': 'params/head/**'}
    tree, report = initialize(fresh(), run, rules)
    np.testing.assert_array_equal(tree['params']['backbone']['conv']['kernel'], 3)
    np.testing.assert_array_equal(tree['params']['head']['kernel'], 0)
    assert report.matched == ('params/backbone/conv/kernel',)
    assert report.kept == ('params/backbone/conv/bias',)
    assert report.reshaped == ('params/head/kernel',)
    assert report.unused == ('step',)
    assert '1 leaves initialized from step 7' in str(report)


def test_equal_paths_without_rules(run):
    tree, report = initialize({'params': {'conv': {'kernel': jnp.zeros((2, 2))}}}, run, {})
    np.testing.assert_array_equal(tree['params']['conv']['kernel'], 3)
    assert len(report.matched) == 1


def test_nothing_in_common_is_an_error(run, tmp_path):
    with pytest.raises(UserError, match='matches nothing'):
        initialize({'other': jnp.zeros(3)}, run)
    with pytest.raises(UserError, match=r'init_rules.*nearest are params/head/kernel'):
        initialize(fresh(), run, {'params/haed/*': 'params/head/*'})
    with pytest.raises(UserError, match='no checkpoint'):
        initialize(fresh(), tmp_path / 'nowhere')


def test_shardings_stay(run):
    device = jax.devices()[3]
    tree = {'params': {'conv': {'kernel': jax.device_put(jnp.zeros((2, 2)), device)}}}
    assert initialize(tree, run)[0]['params']['conv']['kernel'].devices() == {device}
