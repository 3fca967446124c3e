"""Planted faults are found by name; a healthy network gets no remark."""

import jax
import numpy as np
import pytest
from flax import linen
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.nn import Activation
from jaxcv.train import diagnose


class Net(linen.Module):
    """`depth` hidden layers."""

    kind: str = 'relu'
    depth: int = 3

    @linen.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = Activation(self.kind)(linen.Dense(16)(x))
        return linen.Dense(1)(x)


def look(net, plant=None):
    """The diagnostics of `net` on random inputs, after `plant(params)` did its harm."""
    x = jax.random.normal(jax.random.key(1), (64, 8))
    params = net.init(jax.random.key(0), x)['params']
    if plant:
        params = plant(params)

    @jax.jit
    def measure(params):
        grads = jax.grad(lambda p: jnp.square(net.apply({'params': p}, x) - 1).mean())(params)
        dead = diagnose.dead_units(net.apply, {'params': params}, x)
        return diagnose.metrics(diagnose.gradient_norms(grads), dead)

    return {name: float(value) for name, value in measure(params).items()}


def test_a_healthy_network_has_no_findings():
    metrics = look(Net())
    assert diagnose.findings(metrics) == []
    assert set(metrics) == {f'grad_norm/Dense_{i}' for i in range(4)} | {
        f'dead/Activation_{i}' for i in range(3)
    }


def test_a_planted_dead_layer_is_found():
    def plant(params):
        params['Dense_1']['bias'] -= 100
        return params

    metrics = look(Net(), plant)
    assert metrics['dead/Activation_1'] == 1
    assert metrics['dead/Activation_0'] < 0.5
    assert metrics['grad_norm/Dense_0'] == 0
    found = diagnose.findings(metrics)
    assert any(text.startswith('Activation_1 is dead') for text in found)
    assert any('No gradient reaches Dense_0, Dense_1' in text for text in found)


def test_the_share_of_dead_units_is_exact():
    def plant(params):
        params['Dense_0']['bias'] = params['Dense_0']['bias'].at[:12].add(-100)
        return params

    metrics = look(Net(depth=1), plant)
    assert metrics['dead/Activation_0'] >= 12 / 16
    assert metrics['dead/Activation_0'] * 16 == round(metrics['dead/Activation_0'] * 16)
    assert diagnose.findings(metrics) == [
        f'Activation_0: {metrics["dead/Activation_0"]:.0%} of the units are dead.'
    ]


def test_saturated_units_count_as_dead():
    def plant(params):
        params['Dense_0']['bias'] += 1000  # sigmoid is 1, whatever comes in
        return params

    assert look(Net('sigmoid', 1), plant)['dead/Activation_0'] == 1


def test_twenty_sigmoid_layers_vanish():
    found = diagnose.findings(look(Net('sigmoid', 20)))
    assert any('vanish: Dense_0 gets' in text and 'Dense_20' in text for text in found)


def test_badly_scaled_layers_explode():
    def plant(params):  # the same function of a ReLU network, and a first layer 1e6 times steeper
        params['Dense_0']['kernel'] *= 1e-6
        params['Dense_4']['kernel'] *= 1e6
        return params

    def exploding(metrics):
        return [text for text in diagnose.findings(metrics) if 'explode' in text]

    assert 'Dense_0 gets' in exploding(look(Net('relu', 8), plant))[0]
    assert not exploding(look(Net('relu', 8)))


def test_layers_are_compared_in_the_order_of_their_numbers():
    metrics = {'grad_norm/block_2/mlp': 1.0, 'grad_norm/block_10/mlp': 1e-5}
    assert 'explode: block_2/mlp gets 100,000 times more' in diagnose.findings(metrics)[0]
    assert diagnose.findings({'grad_norm/stem': 1.0, 'grad_norm/head': 1e-5}) == []


def test_norms_are_those_of_numpy():
    grads = {
        'a': {'kernel': jnp.array([3.0, 4.0]), 'bias': jnp.array([12.0])},
        'b': {'w': jnp.ones(9)},
    }
    norms = diagnose.gradient_norms(grads)
    np.testing.assert_allclose([norms['a'], norms['b']], [13, 3])


def test_what_is_not_finite_is_said():
    assert 'not finite' in diagnose.findings({'grad_norm/a': float('nan')})[0]
    assert 'not finite' in diagnose.findings({'grad_norm/a': None})[0]


def test_a_module_called_twice_is_judged_over_both_calls():
    class Twice(linen.Module):
        @linen.compact
        def __call__(self, x):
            act = Activation('relu')
            return act(x) + act(-x)

    x = jnp.ones((4, 3))  # constant within a call, not over both
    assert diagnose.dead_units(Twice().apply, {}, x) == {'Activation_0': 0.0}


def test_one_sample_is_an_error():
    with pytest.raises(UserError, match='two are needed'):
        diagnose.dead_units(Activation('relu').apply, {}, jnp.ones((1, 3)))


def test_a_share_that_is_missing_is_no_finding():
    assert diagnose.findings({'dead/a': None, 'dead/b': 1.0}) == diagnose.findings({'dead/b': 1.0})
