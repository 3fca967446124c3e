"""The cost report against counts by hand, and the receptive field against derivatives."""

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp

from jaxcv import nn
from jaxcv.nn.cost import OTHER, table


class Net(linen.Module):
    """A branch, a pool, strides, dilation and a depthwise layer."""

    @linen.compact
    def __call__(self, x):
        x = nn.Activation('relu')(nn.Conv(8, (3, 3), strides=2, name='a')(x))
        x = x + nn.Conv(8, (5, 3), groups=8, dilation=2, name='b')(x)
        x = linen.avg_pool(x, (2, 2), (2, 2))
        x = nn.Conv(4, (3, 3), name='c')(x)
        return linen.Dense(10, name='head')(x.reshape(len(x), -1))


def test_counts_and_receptive_fields():
    x = jnp.ones((2, 64, 64, 3))
    report = {line.layer: line for line in nn.cost(Net(), x)}
    assert report['a'].parameters == 9 * 3 * 8 + 8 and report['a'].output == (32, 32, 8)
    assert report['a'].multiply_adds == 32 * 32 * 9 * 3 * 8
    assert report['b'].multiply_adds == 32 * 32 * 15 * 8
    assert report['head'].multiply_adds == 16 * 16 * 4 * 10 and report['head'].field is None
    # a: 3; b: 3 + 8 * 2 and 3 + 4 * 2; the pool adds 2; c: 2 * 4.
    assert [report[n].field for n in 'abc'] == [(3, 3), (19, 11), (29, 21)]
    assert 'total' in table(list(report.values()))


def test_receptive_field_is_what_the_derivative_reaches():
    class Trunk(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = nn.Conv(2, (3, 3), strides=2, kernel_init=linen.initializers.ones)(x)
            y = nn.Conv(2, (3, 5), dilation=2, kernel_init=linen.initializers.ones)(x)
            x = linen.max_pool(x + y, (1, 1))
            return nn.Conv(1, (1, 3), strides=(2, 1), kernel_init=linen.initializers.ones)(x)

    x = jnp.ones((1, 64, 64, 1))
    variables = Trunk().init(jax.random.key(0), x)
    reached = jax.grad(lambda x: Trunk().apply(variables, x)[0, 8, 16, 0])(x)[0, :, :, 0] != 0
    (field,) = [line.field for line in nn.cost(Trunk(), x) if line.layer == '']
    extent = [int(np.ptp(np.flatnonzero(reached.any(axis)))) + 1 for axis in (1, 0)]
    assert list(field) == extent


def test_products_of_activations_are_counted():
    attention = linen.MultiHeadDotProductAttention(num_heads=2, qkv_features=8)
    report = {line.layer: line for line in nn.cost(attention, jnp.ones((3, 5, 8)))}
    assert report[OTHER].multiply_adds == 2 * 5 * 5 * 8
    assert report['query'].multiply_adds == 5 * 8 * 8


def test_transposed_convolution():
    report = {r.layer: r for r in nn.cost(nn.ConvTranspose(6, (4, 4), 2), jnp.ones((2, 8, 8, 3)))}
    # Every input position meets every tap.
    assert report[''].multiply_adds == 8 * 8 * 16 * 3 * 6
