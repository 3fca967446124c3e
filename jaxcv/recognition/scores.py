"""Scores of a classifier, as sums that add over batches and devices, and what follows from them.

total = sums(logits, labels, valid)      # one per batch; add them name by name
finish(total)                            # {'accuracy': ..., 'nll': ..., ...}
"""

from collections.abc import Mapping

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

BINS = 15
Sums = Mapping[str, Array | np.ndarray]


def ranks(logits: Float[Array, 'b classes'], labels: Int[Array, 'b']) -> Int[Array, 'b']:
    """How many classes come before the true one: 0 is a hit.

    Equal logits are ordered by class number, as `argmax` has it; a NaN is never a hit.
    """
    own = jnp.take_along_axis(logits, labels[:, None], axis=1)
    earlier = jnp.arange(logits.shape[-1]) < labels[:, None]
    # "Not below" rather than "above", so that NaN puts the true class last.
    before = ~((logits < own) | ((logits == own) & ~earlier))
    return jnp.minimum(before.sum(1), logits.shape[-1] - 1)


def top_k(
    logits: Float[Array, 'b classes'], labels: Int[Array, 'b'], k: int = 1
) -> Float[Array, 'b']:
    """1 where the true class is among the k most probable, else 0."""
    return (ranks(logits, labels) < k).astype(jnp.float32)


def sums(
    logits: Float[Array, 'b classes'],
    labels: Int[Array, 'b'],
    valid: Bool[Array, 'b'] | None = None,
) -> dict[str, Array]:
    """The sums of one batch. Rows where `valid` is False are padding and count nowhere.

    log_likelihood  []                of the true classes
    ranks           [classes]         samples by `ranks`
    confusion       [true predicted]  samples
    bin_count       [bins]            samples by confidence, the largest probability p: bin i holds
                                      i / bins < p <= (i + 1) / bins
    bin_correct     [bins]            those that are hits
    bin_confidence  [bins]            their confidences
    """
    classes = logits.shape[-1]
    valid = jnp.ones(labels.shape, bool) if valid is None else valid.astype(bool)
    logits = jnp.where(valid[:, None], logits.astype(jnp.float32), 0.0)
    labels = jnp.where(valid, labels, 0)
    log_probs = jax.nn.log_softmax(logits)
    own = jnp.take_along_axis(log_probs, labels[:, None], axis=1)[:, 0]
    rank = ranks(logits, labels)
    confidence = jnp.exp(log_probs.max(axis=1))
    slot = jnp.clip(jnp.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    ones = valid.astype(jnp.int32)
    return {
        'log_likelihood': jnp.sum(own * valid),
        'ranks': jnp.zeros(classes, jnp.int32).at[rank].add(ones),
        'confusion': jnp.zeros((classes, classes), jnp.int32)
        .at[labels, jnp.argmax(logits, axis=1)]
        .add(ones),
        'bin_count': jnp.zeros(BINS, jnp.int32).at[slot].add(ones),
        'bin_correct': jnp.zeros(BINS, jnp.int32).at[slot].add(ones * (rank == 0)),
        'bin_confidence': jnp.zeros(BINS).at[slot].add(confidence * valid),
    }


def reliability(
    sums: Sums,
) -> tuple[Float[np.ndarray, 'bins'], Float[np.ndarray, 'bins'], Float[np.ndarray, 'bins']]:
    """Mean confidence, accuracy and share of the samples in each bin; empty bins have NaN means."""
    count = np.asarray(sums['bin_count'], np.float64)
    samples = np.where(count > 0, count, np.nan)
    confidence, correct = (np.asarray(sums[name]) for name in ('bin_confidence', 'bin_correct'))
    return confidence / samples, correct / samples, count / max(count.sum(), 1)


def calibration_error(sums: Sums) -> float:
    """Expected calibration error, sum over bins of share * |accuracy - confidence| (Guo et al.,
    2017, equation 3)."""
    confidence, accuracy, share = reliability(sums)
    return float(np.nansum(share * np.abs(accuracy - confidence)))


def finish(sums: Sums) -> dict[str, float]:
    """`accuracy`, `top5` where there are more than 5 classes, `nll` (negative log-likelihood, nats
    per sample) and `calibration_error`."""
    hits = np.asarray(sums['ranks'], np.float64)
    count = max(hits.sum(), 1)
    metrics = {'accuracy': float(hits[0] / count)}
    if len(hits) > 5:
        metrics['top5'] = float(hits[:5].sum() / count)
    metrics['nll'] = float(-np.asarray(sums['log_likelihood']) / count)
    metrics['calibration_error'] = calibration_error(sums)
    return metrics
