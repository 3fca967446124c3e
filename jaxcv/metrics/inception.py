"""Inception score (Salimans et al. 2016): are samples each of one class, together of all?"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float


def inception_score(logits: Float[Array, 'n k']) -> Float[Array, '']:
    """exp(mean over samples of KL(p(class | image) || p(class))), in [1, k]; p(class) is the mean
    of p(class | image) over the samples."""
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
    marginal = jax.nn.logsumexp(log_probs, axis=0) - jnp.log(len(logits))
    return jnp.exp(jnp.sum(jnp.exp(log_probs) * (log_probs - marginal), axis=1).mean())
