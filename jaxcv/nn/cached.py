"""Attention for a CPU: as many samples at a time as have their scores in the cache, and scores made
again for the gradient rather than stored (as in Dao et al., 2022). In float32.

Three things are columns of the matrix products rather than passes over the scores: the mask, the
sums of the softmax, and what its gradient subtracts.
"""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

SCORES = 2**19  # how many the cache of a core holds
HIDDEN = -1e30


def attend(
    query: Float[Array, 'b n h d'],
    key: Float[Array, 'b m h d'],
    value: Float[Array, 'b m h d'],
    mask: Bool[Array, 'b m'] | None = None,
) -> Float[Array, 'b n h d']:
    """softmax(q k^T / sqrt(d)) v per head."""
    # Heads first, since XLA would transpose the scores.
    q, k, v = (x.swapaxes(1, 2).astype(jnp.float32) for x in (query, key, value))
    q = q * q.shape[-1] ** -0.5
    if mask is not None:
        bias = jnp.where(mask, 0.0, HIDDEN)[:, None, :, None]
        q, k = joined(q, 1), joined(k, jnp.broadcast_to(bias, (*k.shape[:-1], 1)))
    return attention(q, k, v).swapaxes(1, 2).astype(value.dtype)


@jax.custom_vjp
def attention(
    q: Float[Array, 'b h n d'], k: Float[Array, 'b h m d'], v: Float[Array, 'b h m e']
) -> Float[Array, 'b h n e']:
    """softmax(q k^T) v."""
    return by_parts(forward, q, k, v)[0]


def forward(q, k, v):
    """(y, log of the sums of exp(q k^T))."""
    scores = jnp.einsum('...nd,...md->...nm', q, k)
    top = scores.max(-1, keepdims=True)
    y = jnp.einsum('...nm,...me->...ne', jnp.exp(scores - top), joined(v, 1))
    y, total = y[..., :-1], y[..., -1:]
    return y / total, top + jnp.log(total)


def backward(q, k, v, y, log_total, grad):
    """Gradients of q, k and v, with weights [m n]: transposed, they are read in order."""
    weights = jnp.exp(jnp.einsum('...md,...nd->...mn', joined(k, 1), joined(q, -log_total)))
    # Of the score: weight * (grad . v - grad . y).
    less = -(grad * y).sum(-1, keepdims=True)
    scores = weights * jnp.einsum('...me,...ne->...mn', joined(v, 1), joined(grad, less))
    return (
        jnp.einsum('...mn,...md->...nd', scores, k),
        jnp.einsum('...mn,...nd->...md', scores, q),
        jnp.einsum('...mn,...ne->...me', weights, grad),
    )


def attention_forward(q, k, v):
    y, log_total = by_parts(forward, q, k, v)
    return y, (q, k, v, y, log_total)


def attention_backward(residuals, grad):
    return by_parts(backward, *residuals, grad)


attention.defvjp(attention_forward, attention_backward)


def by_parts(function: Callable, *arrays: Float[Array, 'b h _ _']):
    """function(*arrays), a few samples at a time where all have more scores than a cache holds."""
    q, k = arrays[:2]
    size = max(1, SCORES // (q.shape[1] * q.shape[2] * k.shape[2]))
    if len(q) <= size:
        return function(*arrays)
    return jax.lax.map(lambda part: function(*part), arrays, batch_size=size)


def joined(x: Float[Array, '*s d'], column: float | Float[Array, '*s 1']) -> Float[Array, '*s e']:
    """With one more column."""
    column = jnp.broadcast_to(jnp.asarray(column, x.dtype), (*x.shape[:-1], 1))
    return jnp.concatenate([x, column], axis=-1)
