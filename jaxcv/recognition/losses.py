"""Cross-entropy on hard, smoothed and mixed labels."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, 'b classes'],
    labels: Int[Array, 'b'] | Float[Array, 'b classes'],
    smoothing: float = 0.0,
) -> Float[Array, 'b']:
    """-sum_c t_c log softmax(logits)_c per sample, in float32.

    Labels are class numbers, or a distribution t over the classes (mixup's). `smoothing` moves
    either towards the uniform one: (1 - smoothing) * t + smoothing / classes (Szegedy et al.,
    2016, section 7).
    """
    logits = logits.astype(jnp.float32)
    classes = logits.shape[-1]
    wanted = jax.nn.one_hot(labels, classes) if labels.ndim == 1 else labels.astype(jnp.float32)
    wanted = (1 - smoothing) * wanted + smoothing / classes
    return -jnp.sum(wanted * jax.nn.log_softmax(logits), axis=-1)
