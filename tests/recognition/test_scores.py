"""Scores against scikit-learn, a slow loop, and the laws of sums."""

import jax
import numpy as np
import pytest
import scipy.special
from jax import numpy as jnp
from sklearn import metrics as sklearn

from jaxcv.recognition import scores

N, CLASSES = 400, 8
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, CLASSES, N)
LOGITS = (RANDOM.normal(size=(N, CLASSES)) * 2 + 2 * np.eye(CLASSES)[LABELS]).astype(np.float32)
PROBS = scipy.special.softmax(LOGITS.astype(np.float64), axis=1)
SUMS = scores.sums(jnp.array(LOGITS), jnp.array(LABELS))


def slow_calibration_error(probs, labels, bins):
    error = 0.0
    for i in range(bins):
        inside = [p for p in range(len(probs)) if i / bins < probs[p].max() <= (i + 1) / bins]
        if inside:
            accuracy = np.mean([probs[p].argmax() == labels[p] for p in inside])
            confidence = np.mean([probs[p].max() for p in inside])
            error += len(inside) / len(probs) * abs(accuracy - confidence)
    return error


def test_against_scikit_learn_and_a_loop():
    found = scores.finish(SUMS)
    classes = np.arange(CLASSES)
    wanted = {
        'accuracy': sklearn.accuracy_score(LABELS, PROBS.argmax(1)),
        'top5': sklearn.top_k_accuracy_score(LABELS, PROBS, k=5, labels=classes),
        'nll': sklearn.log_loss(LABELS, PROBS, labels=classes),
        'calibration_error': slow_calibration_error(PROBS, LABELS, scores.BINS),
    }
    assert found == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_array_equal(
        SUMS['confusion'], sklearn.confusion_matrix(LABELS, PROBS.argmax(1))
    )


@pytest.mark.parametrize('k', [1, 3, CLASSES])
def test_top_k(k):
    found = scores.top_k(jnp.array(LOGITS), jnp.array(LABELS), k).mean()
    wanted = np.mean(
        [label in row.argsort()[-k:] for row, label in zip(LOGITS, LABELS, strict=True)]
    )
    assert float(found) == pytest.approx(wanted)


@pytest.mark.parametrize('cut', [1, 200, N])
def test_padding_counts_nowhere_and_batches_add(cut):
    logits, labels = np.full((2, N, CLASSES), np.nan, np.float32), np.full((2, N), -1)
    logits[0, -cut:], labels[0, -cut:] = LOGITS[:cut], LABELS[:cut]
    logits[1, : N - cut], labels[1, : N - cut] = LOGITS[cut:], LABELS[cut:]
    parts = [
        scores.sums(jnp.array(x), jnp.array(y), y >= 0) for x, y in zip(logits, labels, strict=True)
    ]
    total = jax.tree.map(jnp.add, *parts)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), total, SUMS)


def test_a_calibrated_classifier():
    """Labels drawn from the predicted probabilities; then the same, but too sure of itself."""
    logits = 2 * RANDOM.normal(size=(20_000, 4)).astype(np.float32)
    drawn = np.asarray(jax.nn.softmax(logits)).cumsum(1) < RANDOM.random((20_000, 1))
    labels = jnp.array(drawn.sum(1).clip(0, 3))
    assert scores.finish(scores.sums(logits, labels))['calibration_error'] < 0.015
    assert scores.finish(scores.sums(5 * logits, labels))['calibration_error'] > 0.1
    assert 'top5' not in scores.finish(scores.sums(logits, labels))


def test_a_tie_or_a_nan_is_no_hit():
    flat = scores.sums(jnp.zeros((3, 4)), jnp.array([0, 1, 3]))
    np.testing.assert_array_equal(flat['ranks'], [1, 1, 0, 1])
    assert scores.finish(flat)['accuracy'] == pytest.approx(1 / 3)
    broken = scores.sums(jnp.full((2, 4), jnp.nan), jnp.array([0, 1]))
    assert scores.finish(broken)['accuracy'] == 0


def test_reliability_of_a_calibrated_guess():
    """Probability 0.75 that is right three times in four."""
    logits = jnp.log(jnp.tile(jnp.array([0.75, 0.25]), (8, 1)))
    sums = scores.sums(logits, jnp.array([0, 0, 0, 1, 0, 0, 0, 1]))
    confidence, accuracy, share = scores.reliability(sums)
    place = int(np.ceil(0.75 * scores.BINS)) - 1
    assert (confidence[place], accuracy[place], share[place]) == pytest.approx((0.75, 0.75, 1))
    assert np.isnan(np.delete(accuracy, place)).all()
    assert scores.calibration_error(sums) == pytest.approx(0, abs=1e-6)
