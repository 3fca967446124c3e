"""What every quantizer promises."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.tokens.quantizers import QUANTIZERS, quantizer

FIELDS = {
    'vq': {'codes': 24, 'kmeans': 2, 'revive': 0.1},
    'ema': {'codes': 24, 'kmeans': 2, 'revive': 0.1},
    'gumbel': {'codes': 24},
    'residual': {'depth': 2, 'inner': {'name': 'ema', 'codes': 12}},
    'multiscale': {'codes': 24, 'scales': (1, 2, 4), 'revive': 0.1},
    'fsq': {'levels': (4, 3, 5)},
    'lfq': {'bits': 3},
}


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize('name', QUANTIZERS)
def test_the_promises(name):
    made = quantizer(name, **FIELDS[name])
    assert hash(made) == hash(quantizer(name, **FIELDS[name]))
    params, state = made.init(jax.random.key(0), 3)
    z, keys = normal(16, 4, 4, 3), across.keys(jax.random.key(1), 16)

    def loss(params, z, state, keys):
        found, state = made(params, state, z, keys)
        return jnp.square(found.values - 1).sum() + found.loss.sum(), (found, state)

    grad = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    grads, (found, after) = grad(params, z, state, keys)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))
    assert found.values.shape == z.shape and found.loss.shape == (16,)
    assert found.codes.shape == (16, *made.grid(4, 4)) and found.codes.dtype == jnp.int32
    assert made.length(4, 4) == found.codes[0].size
    # The state keeps its form, and its mean over devices is what it is.
    like = jax.tree.map(lambda x: (x.shape, x.dtype), state)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == like
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(after))
    again = grad(params, z, after, keys)[1][1]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(again))
    found, same = jax.jit(made)(params, after, z)
    assert found.codes.min() >= 0 and found.codes.max() < made.codes
    values = jax.jit(made.lookup)(params, after, found.codes)
    np.testing.assert_allclose(values, found.values, atol=1e-6)
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('name', ['gumbel', 'residual', 'lfq'])
def test_every_number_of_devices_finds_the_same(name):
    made = quantizer(name, **FIELDS[name])
    params, state = made.init(jax.random.key(0), 3)
    z = normal(16, 4, 4, 3)

    def local(z):
        found, after = made(params, state, z, across.keys(jax.random.key(1), len(z)))
        return found, across.mean(after)

    one, after = local(z)
    many, states = jax.pmap(local, across.DATA)(z.reshape(8, 2, 4, 4, 3))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a, b.reshape(a.shape), atol=1e-6)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(states), strict=True):
        np.testing.assert_allclose(b, np.broadcast_to(a, b.shape), atol=1e-6)


def test_names_and_fields_that_are_not():
    with pytest.raises(UserError, match="did you mean 'ema'"):
        quantizer('emaa')
    with pytest.raises(UserError, match="did you mean 'codes'"):
        quantizer('vq', code=5)
    with pytest.raises(UserError, match="did you mean 'beta'"):
        quantizer('residual', inner={'name': 'vq', 'bet': 1.0})
