"""Inception score at its ends, and by its definition."""

import numpy as np
import scipy.special
import scipy.stats
from jax import numpy as jnp

from jaxcv.metrics import inception_score


def test_ends():
    certain = 1000 * jnp.eye(7)
    np.testing.assert_allclose(inception_score(jnp.tile(certain, (3, 1))), 7, rtol=1e-5)
    np.testing.assert_allclose(inception_score(jnp.tile(certain[:1], (9, 1))), 1, rtol=1e-5)
    np.testing.assert_allclose(inception_score(jnp.zeros((9, 7))), 1, rtol=1e-5)


def test_definition():
    logits = np.random.default_rng(0).normal(size=(50, 6)) * 3
    p = scipy.special.softmax(logits, 1)
    expected = np.exp(np.mean([scipy.stats.entropy(row, p.mean(0)) for row in p]))
    np.testing.assert_allclose(inception_score(jnp.asarray(logits)), expected, rtol=1e-5)
