"""Both ways to add rows against numpy; the gradient of a lookup."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads

from jaxcv.ops.rows import add_rows, in_order, scattered, take_rows

WAYS = [jax.jit(way) for way in (add_rows, scattered, in_order)]


def arrays(count, rows=7, width=3, seed=0):
    generator = np.random.default_rng(seed)
    table = jnp.asarray(generator.normal(size=(rows, width)), jnp.float32)
    indices = jnp.asarray(generator.integers(0, rows - 1, count), jnp.int32)
    return table, indices, jnp.asarray(generator.normal(size=(count, width)), jnp.float32)


@pytest.mark.parametrize('count', [0, 1, 200])
def test_every_way_adds_what_numpy_adds(count):
    table, indices, rows = arrays(count)
    expected = np.float64(table)
    np.add.at(expected, np.asarray(indices), np.float64(rows))
    for way in WAYS:
        np.testing.assert_allclose(way(table, indices, rows), expected, atol=1e-5)


def test_what_is_promised_to_be_sorted_is(monkeypatch):
    """A CPU sums the same either way; where the promise is believed, it must be kept."""
    table, indices, rows = arrays(50)
    promised = []

    def spy(data, segments, count, indices_are_sorted):
        promised.append((np.asarray(segments), indices_are_sorted))
        return jnp.zeros((count, data.shape[-1]))

    monkeypatch.setattr(jax.ops, 'segment_sum', spy)
    in_order(table, indices, rows)
    ((segments, sorted_),) = promised
    assert sorted_ and (np.diff(segments) >= 0).all() and (np.diff(indices) < 0).any()


@pytest.mark.parametrize('way', WAYS)
def test_the_gradient_of_adding_is_a_lookup(way):
    table, indices, rows = arrays(20)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=table.shape), jnp.float32)
    grad = jax.jit(jax.grad(lambda t, r: (weight * way(t, indices, r)).sum(), (0, 1)))
    found = grad(table, rows)
    np.testing.assert_allclose(found[0], weight)
    np.testing.assert_allclose(found[1], weight[indices])


def test_the_gradient_of_a_lookup_adds():
    table, indices, rows = arrays(24)
    shaped = indices.reshape(4, 6)
    found, pull = jax.vjp(jax.jit(lambda t: take_rows(t, shaped)), table)
    np.testing.assert_array_equal(found, np.asarray(table)[np.asarray(shaped)])
    expected = add_rows(jnp.zeros_like(table), indices, rows)
    np.testing.assert_allclose(pull(rows.reshape(4, 6, 3))[0], expected, atol=1e-6)


def test_a_lookup_can_be_differentiated_twice():
    table, indices, _ = arrays(9)
    loss = jax.jit(lambda t: jnp.sin(take_rows(t, indices)).sum())
    check_grads(loss, (table,), 2, ['rev'], eps=1e-2, atol=2e-2, rtol=2e-2)
