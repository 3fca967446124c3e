"""Attention for a CPU: as many heads at a time as have their scores in the cache, and scores made
again for the gradient rather than stored (as in Dao et al., 2022). In float32.

Scores are held as [m n], keys by rows, and what is made of them as [d n]: so every matrix product
has the tokens, not the few features of a head, along its rows. Three things are columns of these
products rather than passes over the scores: the mask, the sums of the softmax, and what its
gradient subtracts.
"""

from collections.abc import Callable
from functools import partial

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

SCORES = 2**18  # how many the cache of a core holds
HIDDEN = -1e30


def attend(
    query: Float[Array, 'b n h d'],
    key: Float[Array, 'b m h d'],
    value: Float[Array, 'b m h e'],
    mask: Bool[Array, 'b m'] | None = None,
    seen: Bool[Array, 'n m'] | None = None,
) -> Float[Array, 'b n h e']:
    """softmax(q k^T / sqrt(d)) v per head, of what `mask` shows and a row has `seen`."""
    batch, heads = query.shape[0], query.shape[2]
    q, k, v = (heads_first(x.astype(jnp.float32)) for x in (query, key, value))
    q = q * q.shape[-1] ** -0.5
    if mask is not None:
        bias = jnp.where(mask, 0.0, HIDDEN)[:, None, :, None]
        bias = jnp.broadcast_to(bias, (batch, heads, *bias.shape[2:]))
        q, k = joined(q, 1.0), joined(k, bias.reshape(*k.shape[:-1], 1))
    hidden = None if seen is None else jnp.where(seen, 0.0, HIDDEN).T
    y = attention(q, k, v, hidden)
    y = y.reshape(batch, heads, *y.shape[1:])
    return jnp.moveaxis(y, 3, 1).astype(value.dtype)


def heads_first(x: Float[Array, 'b n h d']) -> Float[Array, 'b*h n d']:
    x = x.swapaxes(1, 2)
    return x.reshape(-1, *x.shape[2:])


@jax.custom_vjp
def attention(
    q: Float[Array, 'h n d'],
    k: Float[Array, 'h m d'],
    v: Float[Array, 'h m e'],
    hidden: Float[Array, 'm n'] | None = None,
) -> Float[Array, 'h e n']:
    """softmax(q k^T + hidden^T) v, transposed; `hidden` is a constant."""
    return by_parts(partial(forward, hidden), q, k, v)[0]


def forward(hidden, q: Float[Array, 'n d'], k: Float[Array, 'm d'], v: Float[Array, 'm e']):
    """Of one head: y [e n], and the log of the sums of the exponentials [n]."""
    scores = plus(k @ q.T, hidden)
    top = scores.max(0)
    y = jnp.einsum('mn,me->en', jnp.exp(scores - top), joined(v, 1.0))
    y, total = y[:-1], y[-1]
    return y / total, top + jnp.log(total)


def backward(hidden, q, k, v, y, log_total, grad):
    """Of one head: the gradients of q [d n], k [m d] and v [m e]."""
    weights = jnp.exp(plus(joined(k, 1.0) @ joined(q, -log_total[:, None]).T, hidden))
    # Of a score: weight * (v . grad - y . grad).
    less = -(grad * y).sum(0)
    scores = weights * (joined(v, 1.0) @ jnp.concatenate([grad, less[None]]))
    return jnp.einsum('mn,md->dn', scores, k), scores @ q, weights @ grad.T


def attention_forward(q, k, v, hidden):
    y, log_total = by_parts(partial(forward, hidden), q, k, v)
    return y, (hidden, (q, k, v, y, log_total))


def attention_backward(residuals, grad):
    hidden, arrays = residuals
    q, k, v = by_parts(partial(backward, hidden), *arrays, grad)
    return q.swapaxes(1, 2), k, v, None


attention.defvjp(attention_forward, attention_backward)


def plus(scores: Float[Array, 'm n'], hidden: Float[Array, 'm n'] | None) -> Float[Array, 'm n']:
    return scores if hidden is None else scores + hidden


def by_parts(function: Callable, *arrays: Float[Array, 'h ...']):
    """function of each head, for a few at once where all have more scores than a cache holds."""
    q, k = arrays[:2]
    size = max(1, SCORES // (q.shape[1] * k.shape[1]))
    if len(q) <= size:
        return jax.vmap(function)(*arrays)
    return jax.lax.map(lambda head: function(*head), arrays, batch_size=size)


def joined(x: Float[Array, '*s d'], column: float | Float[Array, '*s 1']) -> Float[Array, '*s e']:
    """With one more column."""
    column = jnp.broadcast_to(jnp.asarray(column, x.dtype), (*x.shape[:-1], 1))
    return jnp.concatenate([x, column], axis=-1)
