"""Normalization, activation, regularization: closed forms and invariants."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import linen
from jax import numpy as jnp

from jaxcv import nn
from jaxcv.errors import UserError


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


SHARDED = """
import jax, numpy as np
from jax import numpy as jnp
from jaxcv import nn
from jaxcv.ops import across
x = jax.random.normal(jax.random.key(0), (8, 5, 5, 3)) * 2 + 1
target = jax.random.normal(jax.random.key(1), x.shape)
conv, norm = nn.Conv(3), nn.BatchNorm()
start = norm.init(jax.random.key(2), x, True)
params, stats = (conv.init(jax.random.key(2), x)['params'], start['params']), start['batch_stats']
def step(params, x, target):
    def loss(params):
        y = conv.apply({'params': params[0]}, x)
        variables = {'params': params[1], 'batch_stats': stats}
        y, changed = norm.apply(variables, y, True, mutable='batch_stats')
        return jnp.mean((y - target) ** 2), changed
    (value, changed), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    return across.mean(value), changed, across.mean(gradients)
whole = jax.jit(step)(params, x, target)
split = lambda a: a.reshape(4, 2, *a.shape[1:])
mapped = jax.pmap(step, 'data', in_axes=(None, 0, 0), out_axes=None)
parts = mapped(params, split(x), split(target))
assert jax.device_count() == 4
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole, parts)
print('equal')
"""


def test_batch_norm_over_devices():
    """Value, running statistics and gradients are those of the whole batch."""
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        'PYTHONPATH': root,
        'JAX_PLATFORMS': 'cpu',
        'JAX_NUM_CPU_DEVICES': '4',
        'PJRT_NPROC': '8',
    }
    command = [sys.executable, '-c', SHARDED]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.stdout.strip() == 'equal', result.stderr


def test_batch_norm_closed_form():
    x = normal(0, 6, 4, 3) * 3 + 5
    module = nn.BatchNorm(momentum=0.8, epsilon=1e-3)
    variables = module.init(jax.random.key(0), x, train=True)
    np.testing.assert_array_equal(variables['batch_stats']['mean'], 0)
    y, changed = module.apply(variables, x, train=True, mutable='batch_stats')
    mean, var = x.mean((0, 1)), x.var((0, 1))
    np.testing.assert_allclose(y, (x - mean) / jnp.sqrt(var + 1e-3), atol=1e-5)
    np.testing.assert_allclose(changed['batch_stats']['mean'], 0.2 * mean, rtol=1e-5)
    unbiased = x.var((0, 1), ddof=1)
    np.testing.assert_allclose(changed['batch_stats']['var'], 0.8 + 0.2 * unbiased, rtol=1e-5)


def test_global_response_norm_starts_as_the_identity_and_is_finite_at_zero():
    module, x = nn.GlobalResponseNorm(), normal(0, 2, 4, 4, 5)
    y, variables = module.init_with_output(jax.random.key(0), x)
    np.testing.assert_array_equal(y, x)
    zero = jnp.zeros_like(x)
    gradients = jax.grad(lambda v, x: jnp.sum(module.apply(v, x)), (0, 1))(variables, zero)
    assert all(jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(gradients))


class Two(linen.Module):
    """Two dropouts, which must not draw alike."""

    @linen.compact
    def __call__(self, x, keys):
        return nn.Dropout(0.5)(x, keys), nn.Dropout(0.5)(x, keys)


def test_dropout_belongs_to_the_sample():
    keys, x = jax.random.split(jax.random.key(0), 8), jnp.ones((8, 5, 6))
    first, second = Two().apply({}, x, keys)
    assert not np.array_equal(first, second)
    alone = Two().apply({}, x[3:4], keys[3:4])
    np.testing.assert_array_equal(alone[0][0], first[3])
    np.testing.assert_array_equal(alone[1][0], second[3])
    assert not np.array_equal(first[0], first[1])


def test_dropout_keeps_the_mean():
    keys, x = jax.random.split(jax.random.key(0), 4), jnp.ones((4, 5000))
    y = nn.Dropout(0.3).apply({}, x, keys)
    assert set(np.unique(y.round(4))) == {0.0, np.float32(1 / 0.7).round(4)}
    np.testing.assert_allclose(y.mean(), 1.0, atol=0.02)  # deviation of the mean: 0.005
    np.testing.assert_array_equal(nn.Dropout(0.3).apply({}, x, None), x)
    np.testing.assert_array_equal(nn.Dropout(1.0).apply({}, x, keys), 0)


def test_stochastic_depth_drops_whole_samples():
    keys, x = jax.random.split(jax.random.key(0), 2000), jnp.ones((2000, 2, 3))
    y = nn.StochasticDepth(0.25).apply({}, x, keys)
    per_sample = np.unique(y.reshape(2000, -1), axis=1)
    assert per_sample.shape[1] == 1
    np.testing.assert_allclose((per_sample == 0).mean(), 0.25, atol=0.04)  # 4 deviations


def test_learnable_and_gated_activations():
    x = normal(0, 3, 8)
    swish = nn.Activation('swish_learnable')
    y, variables = swish.init_with_output(jax.random.key(0), x)
    np.testing.assert_allclose(y, jax.nn.silu(x), rtol=1e-6)
    assert jax.grad(lambda v: swish.apply(v, x).sum())(variables)['params']['beta'] != 0
    gated = nn.Activation('swiglu').apply({}, x)
    np.testing.assert_allclose(gated, jax.nn.silu(x[:, :4]) * x[:, 4:], rtol=1e-6)
    with pytest.raises(UserError, match="mean 'relu'"):
        nn.Activation('rleu').apply({}, x)


def test_activations_can_be_captured():
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            return nn.Activation('relu')(nn.Conv(2)(x))

    only = lambda module, _: isinstance(module, nn.Activation)  # noqa: E731
    x = normal(0, 1, 4, 4, 1)
    variables = Net().init(jax.random.key(0), x)
    y, state = Net().apply(variables, x, capture_intermediates=only)
    np.testing.assert_array_equal(state['intermediates']['Activation_0']['__call__'][0], y)


def test_straight_through():
    soft = normal(0, 100) * 3
    hard = jnp.round(soft)
    np.testing.assert_array_equal(nn.straight_through(hard, soft), hard)
    f = lambda soft: jnp.sum(nn.straight_through(jnp.round(soft), soft) ** 2)  # noqa: E731
    np.testing.assert_allclose(jax.grad(f)(soft), 2 * hard)


def test_conv_modules_have_the_documented_parameters():
    x = jnp.ones((1, 6, 6, 4))

    def shapes(module, x):
        params = jax.eval_shape(module.init, jax.random.key(0), x)['params']
        return {name: leaf.shape for name, leaf in params.items()}

    assert shapes(nn.Conv(8, (3, 2), groups=2), x) == {'kernel': (3, 2, 2, 8), 'bias': (8,)}
    assert shapes(nn.ConvTranspose(8, (3, 2), 2, use_bias=False), x) == {'kernel': (3, 2, 8, 4)}
    assert shapes(nn.Conv(8, (1, 2, 3)), x[None]) == {'kernel': (1, 2, 3, 4, 8), 'bias': (8,)}
    double = nn.ConvTranspose(8, (4, 4), 2)
    y, _ = jax.eval_shape(double.init_with_output, jax.random.key(0), x)
    assert y.shape == (1, 12, 12, 8)
    half = nn.Conv(8, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(half.init_with_output, jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16 and variables['params']['kernel'].dtype == jnp.float32
