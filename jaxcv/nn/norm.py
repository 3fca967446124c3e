"""Normalizations that linen does not have, or has only for one layout of devices."""

import math

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.ops import across


class BatchNorm(linen.Module):
    """Batch normalization over the global batch (Ioffe and Szegedy, 2015).

    y = scale * (x - mean) / sqrt(var + epsilon) + bias, per channel (last axis). In training the
    statistics are those of the batch on all devices, so every layout of devices gives the same
    numbers, and the collection `batch_stats` follows them:
    running = momentum * running + (1 - momentum) * batch. As in torch, the batch is normalized by
    its biased variance and the running variance is the unbiased one.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_bias: bool = True
    use_scale: bool = True
    dtype: jnp.dtype | None = None
    param_dtype: jnp.dtype = jnp.float32

    @linen.compact
    def __call__(self, x: Float[Array, 'b *s c'], train: bool) -> Float[Array, 'b *s c']:
        shape = (x.shape[-1],)
        mean = self.variable('batch_stats', 'mean', jnp.zeros, shape, jnp.float32)
        var = self.variable('batch_stats', 'var', jnp.ones, shape, jnp.float32)
        if train:
            batch_mean, batch_var = moments(x)
            if not self.is_initializing():
                count = math.prod(x.shape[:-1]) * across.size()
                unbiased = batch_var * (count / max(count - 1, 1))
                mean.value = self.momentum * mean.value + (1 - self.momentum) * batch_mean
                var.value = self.momentum * var.value + (1 - self.momentum) * unbiased
        else:
            batch_mean, batch_var = mean.value, var.value
        factor = jax.lax.rsqrt(batch_var + self.epsilon)
        if self.use_scale:
            factor = factor * self.param('scale', linen.initializers.ones, shape, self.param_dtype)
        offset = -batch_mean * factor
        if self.use_bias:
            offset = offset + self.param('bias', linen.initializers.zeros, shape, self.param_dtype)
        y = x.astype(jnp.float32) * factor + offset
        return y.astype(self.dtype or x.dtype)


def moments(x: Float[Array, '*s c']) -> tuple[Float[Array, 'c'], Float[Array, 'c']]:
    """Mean and biased variance per channel over the global batch, in float32."""
    x = x.astype(jnp.float32)
    axes = tuple(range(x.ndim - 1))
    mean = across.mean(x.mean(axes))
    return mean, across.mean(jnp.square(x - mean).mean(axes))


class GlobalResponseNorm(linen.Module):
    """Global response normalization (ConvNeXt V2, Woo et al., 2023).

    G = ||x||_2 over space, per sample and channel; N = G / (mean of G over channels + epsilon);
    y = gamma * (x * N) + beta + x. Both parameters start at zero: the identity.
    """

    epsilon: float = 1e-6

    @linen.compact
    def __call__(self, x: Float[Array, 'b *s c']) -> Float[Array, 'b *s c']:
        shape = (x.shape[-1],)
        gamma = self.param('gamma', linen.initializers.zeros, shape).astype(x.dtype)
        beta = self.param('beta', linen.initializers.zeros, shape).astype(x.dtype)
        space = tuple(range(1, x.ndim - 1))
        # The norm has no gradient at zero: a channel that is zero everywhere would give NaN.
        squares = jnp.sum(jnp.square(x), space, keepdims=True)
        positive = squares > 0
        norm = jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
        response = norm / (norm.mean(-1, keepdims=True) + self.epsilon)
        return gamma * (x * response) + beta + x
