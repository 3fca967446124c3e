"""Linear CKA: its invariances, its ends, and the kernel form as a reference."""

import numpy as np
from jax import numpy as jnp

from jaxcv.recognition.similarity import alignment, alignment_sums

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 6)).astype(np.float32) + 3
EVERY = jnp.ones(200, bool)


def cka(x, y, valid=EVERY):
    sums = alignment_sums(jnp.asarray(x), jnp.asarray(y), valid)
    return alignment({k: np.asarray(v, np.float64) for k, v in sums.items()})


def test_equal_up_to_rotation_shift_and_scale():
    rotation = np.linalg.qr(RNG.normal(size=(6, 6)))[0].astype(np.float32)
    np.testing.assert_allclose(cka(X, 5 * X @ rotation + 1), 1, atol=1e-4)
    assert cka(X, RNG.normal(size=(200, 6)).astype(np.float32)) < 0.1


def test_kernel_form():
    """<H K H, L> / (||H K H|| ||H L H||) with K = X Xᵀ, L = Y Yᵀ: the HSIC definition."""
    y = np.tanh(X[:, :4] @ RNG.normal(size=(4, 9))).astype(np.float32)
    center = np.eye(200) - 1 / 200
    k, m = (center @ (z @ z.T) @ center for z in (X.astype(np.float64), y.astype(np.float64)))
    expected = (k * m).sum() / (np.linalg.norm(k) * np.linalg.norm(m))
    np.testing.assert_allclose(cka(X, y), expected, rtol=1e-4)


def test_padding_does_not_count_and_batches_add():
    y = X[:, :3] ** 2
    valid = jnp.arange(200) < 150
    np.testing.assert_allclose(cka(X, y, valid), cka(X[:150], y[:150], EVERY[:150]), rtol=1e-4)
    parts = [alignment_sums(X[s], y[s], EVERY[s]) for s in (slice(0, 90), slice(90, 200))]
    total = {k: np.asarray(parts[0][k] + parts[1][k], np.float64) for k in parts[0]}
    np.testing.assert_allclose(alignment(total), cka(X, y), rtol=1e-4)
