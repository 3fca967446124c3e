"""Attention for a CPU against JAX's own."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.nn import cached


def arrays(*shapes):
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize('scores', [10**6, 200, 1], ids=['at once', 'two of five', 'one by one'])
@pytest.mark.parametrize('causal', [False, True])
@pytest.mark.parametrize('masked', [False, True])
def test_values_and_gradients_are_those_of_jax(scores, masked, causal, monkeypatch):
    monkeypatch.setattr(cached, 'SCORES', scores)
    q, k, v, grad = arrays((5, 7, 2, 4), (5, 6, 2, 4), (5, 6, 2, 4), (5, 7, 2, 4))
    mask = jnp.arange(6) < jnp.array([1, 6, 3, 5, 2])[:, None] if masked else None
    seen = jnp.arange(7)[:, None] >= jnp.arange(6) if causal else None
    wide = None if mask is None else mask[:, None, None]
    wide = seen if mask is None else wide if seen is None else wide & seen
    found, pull = jax.vjp(lambda *x: cached.attend(*x, mask, seen), q, k, v)
    expected, pull_expected = jax.vjp(
        lambda *x: jax.nn.dot_product_attention(*x, mask=wide), q, k, v
    )
    np.testing.assert_allclose(found, expected, atol=2e-6)
    for a, b in zip(pull(grad), pull_expected(grad), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-6)


def test_large_scores_overflow_nothing():
    """exp(100^2) is infinite; the softmax is a choice of the largest."""
    q, k, v = arrays((1, 3, 1, 8), (1, 5, 1, 8), (1, 5, 1, 8))
    scale = 100.0
    y, pull = jax.vjp(cached.attend, scale * q, scale * k, v)
    best = jnp.einsum('bnhd,bmhd->bhnm', q, k).argmax(-1)[0, 0]
    np.testing.assert_allclose(y[0, :, 0], v[0, best, 0], atol=1e-6)
    assert all(np.isfinite(x).all() for x in pull(jnp.ones_like(y)))


def test_it_maps_over_another_axis():
    q, k, v = arrays((3, 2, 4, 2, 4), (3, 2, 4, 2, 4), (3, 2, 4, 2, 4))
    grad = jax.grad(lambda *x: jnp.square(cached.attend(*x)).sum())
    found = jax.vmap(grad)(q, k, v)
    each = [grad(*x) for x in zip(q, k, v, strict=True)]
    np.testing.assert_allclose(found, jnp.stack(each), atol=1e-5)
