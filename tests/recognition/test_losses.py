"""Cross-entropy against optax and closed forms."""

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxcv.recognition.losses import cross_entropy

LOGITS = jax.random.normal(jax.random.key(0), (6, 5)) * 3
LABELS = jnp.array([0, 1, 2, 3, 4, 2])


def test_equals_optax():
    ours = cross_entropy(LOGITS, LABELS)
    wanted = optax.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_allclose(ours, wanted, rtol=1e-6)
    smooth = optax.smooth_labels(jax.nn.one_hot(LABELS, 5), 0.3)
    wanted = optax.softmax_cross_entropy(LOGITS, smooth)
    np.testing.assert_allclose(cross_entropy(LOGITS, LABELS, 0.3), wanted, rtol=1e-6)


def test_mixed_labels_mix_the_losses():
    share = jnp.linspace(0, 1, 6)[:, None]
    first, second = jax.nn.one_hot(LABELS, 5), jax.nn.one_hot(LABELS[::-1], 5)
    mixed = cross_entropy(LOGITS, share * first + (1 - share) * second, 0.1)
    apart = [cross_entropy(LOGITS, labels, 0.1) for labels in (LABELS, LABELS[::-1])]
    wanted = share[:, 0] * apart[0] + (1 - share[:, 0]) * apart[1]
    np.testing.assert_allclose(mixed, wanted, rtol=1e-5)


def test_gradient_is_softmax_minus_target():
    def total(logits):
        return cross_entropy(logits, LABELS, 0.2).sum()

    target = 0.8 * jax.nn.one_hot(LABELS, 5) + 0.2 / 5
    wanted = jax.nn.softmax(LOGITS) - target
    np.testing.assert_allclose(jax.grad(total)(LOGITS), wanted, atol=1e-6)


def test_huge_and_half_precision_logits():
    assert float(cross_entropy(jnp.array([[1e4, 0.0]]), jnp.array([0]))[0]) == 0
    assert float(cross_entropy(jnp.array([[1e4, 0.0]]), jnp.array([1]))[0]) == 1e4
    assert cross_entropy(LOGITS.astype(jnp.bfloat16), LABELS).dtype == jnp.float32
