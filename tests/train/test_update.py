"""The step made from a loss, against closed forms."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.train import update

X = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
W = np.random.default_rng(1).normal(size=5).astype(np.float32)
Y = X @ W
BATCH = {'x': jnp.asarray(X), 'y': jnp.asarray(Y)}


def square(params, aux, batch, keys):
    error = batch['x'] @ params['w'] + params['b'] - batch['y']
    return (error**2).mean() / 2, aux, {'seen': jnp.float32(len(keys))}


def start():
    return {'w': jnp.zeros(5), 'b': jnp.zeros(())}


def one(training, steps=1):
    state = training.init(start())
    for i in range(steps):
        state, metrics = jax.jit(training.step)(state, BATCH, jax.random.key(i))
    return state, metrics


def test_gradient_of_least_squares():
    state, metrics = one(update(square, optax.sgd(1.0)))
    gradient = -X.T @ Y / len(Y)
    np.testing.assert_allclose(state.params['w'], -gradient, rtol=1e-5)
    norm = np.sqrt((gradient**2).sum() + Y.mean() ** 2)
    np.testing.assert_allclose(metrics['grad_norm'], norm, rtol=1e-5)
    np.testing.assert_allclose(metrics['loss'], (Y**2).mean() / 2, rtol=1e-5)


@pytest.mark.parametrize('parts', [2, 3, 12])
def test_accumulation_is_the_full_batch(parts):
    state, metrics = one(update(square, optax.sgd(0.1)), steps=3)
    split, part = one(update(square, optax.sgd(0.1), accumulate=parts), steps=3)
    np.testing.assert_allclose(split.params['w'], state.params['w'], rtol=1e-5)
    np.testing.assert_allclose(part['loss'], metrics['loss'], rtol=1e-5)
    assert part['seen'] == 12 / parts


def test_average_is_debiased():
    """After t steps the average is sum_i d^(t-i) p_i (1 - d) / (1 - d^t); constant parameters
    stay what they are from the first step on."""
    still, _ = one(update(square, optax.sgd(0.0), ema=0.99))
    np.testing.assert_allclose(still.eval_params()['w'], still.params['w'])
    training = update(square, optax.sgd(0.1), ema=0.9)
    state, seen = training.init(start()), []
    for i in range(7):
        state, _ = training.step(state, BATCH, jax.random.key(i))
        seen.append(np.asarray(state.params['w']))
    weights = 0.9 ** np.arange(6, -1, -1.0)
    expected = np.average(seen, axis=0, weights=weights)
    np.testing.assert_allclose(state.eval_params()['w'], expected, rtol=1e-5)


def test_frozen_parameters_stay_and_cost_no_optimizer_state():
    state, metrics = one(update(square, optax.adam(0.1), frozen=('w',)))
    np.testing.assert_array_equal(state.params['w'], 0)
    assert state.params['b'] != 0
    assert state.opt[0].mu['w'] is None
    np.testing.assert_allclose(metrics['grad_norm'], abs(Y.mean()), rtol=1e-5)


def test_a_frozen_pattern_that_matches_nothing_is_refused():
    with pytest.raises(UserError, match=r"train\.frozen.*'v'"):
        update(square, optax.sgd(0.1), frozen=('v',)).init(start())


def test_bfloat16_computes_in_it_and_keeps_float32():
    def loss(params, aux, batch, keys):
        assert params['w'].dtype == batch['x'].dtype == jnp.bfloat16
        return square(params, aux, batch, keys)

    state, metrics = one(update(loss, optax.sgd(0.1), precision='bfloat16'), steps=5)
    exact, _ = one(update(square, optax.sgd(0.1)), steps=5)
    assert state.params['w'].dtype == metrics['loss'].dtype == jnp.float32
    np.testing.assert_allclose(state.params['w'], exact.params['w'], rtol=0.05, atol=0.02)
    assert (state.params['w'] != exact.params['w']).any()


def test_aux_goes_through_every_microbatch():
    def loss(params, aux, batch, keys):
        value, _, metrics = square(params, aux, batch, keys)
        return value, {'count': aux['count'] + len(keys)}, metrics

    training = update(loss, optax.sgd(0.1), accumulate=4)
    state = training.init(start(), {'count': jnp.float32(0)})
    state, _ = training.step(state, BATCH, jax.random.key(0))
    assert state.aux['count'] == 12
