"""Group normalization with an affine map that may depend on the sample."""

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError


class GroupNorm(linen.Module):
    """Group normalization (Wu and He, 2018), optionally modulated per sample.

    y = (x - mean) / sqrt(var + epsilon) * scale + bias, where mean and biased variance are those
    of each sample and group of channels; then y * (1 + modulation scale) + shift, if given (the
    adaptive group normalization of Dhariwal and Nichol, 2021). Statistics are in float32.
    """

    groups: int = 32
    epsilon: float = 1e-5
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b *s c'],
        modulation: tuple[Float[Array, 'b c'], Float[Array, 'b c']] | None = None,
    ) -> Float[Array, 'b *s c']:
        """`modulation` is (scale, shift)."""
        channels = x.shape[-1]
        if channels % self.groups:
            raise UserError(
                f'group normalization of {channels} channels in {self.groups} groups; '
                f'the groups must divide the channels'
            )
        factor = self.param('scale', linen.initializers.ones, (channels,), jnp.float32)
        offset = self.param('bias', linen.initializers.zeros, (channels,), jnp.float32)
        mean, var = moments(x, self.groups)
        factor = factor.astype(jnp.float32) * jax.lax.rsqrt(var + self.epsilon)
        offset = offset.astype(jnp.float32) - mean * factor
        if modulation is not None:
            scale, shift = (m.astype(jnp.float32) for m in modulation)
            factor, offset = factor * (1 + scale), offset * (1 + scale) + shift
        space = tuple(range(1, x.ndim - 1))
        y = x.astype(jnp.float32) * jnp.expand_dims(factor, space) + jnp.expand_dims(offset, space)
        return y.astype(self.dtype or x.dtype)


def moments(
    x: Float[Array, 'b *s c'], groups: int
) -> tuple[Float[Array, 'b c'], Float[Array, 'b c']]:
    """Mean and biased variance of each channel's group."""
    x = x.astype(jnp.float32)
    space = tuple(range(1, x.ndim - 1))

    def group(per_channel):
        parts = per_channel.reshape(x.shape[0], groups, -1)
        return jnp.broadcast_to(parts.mean(-1, keepdims=True), parts.shape).reshape(-1, x.shape[-1])

    # Sums over space first: half the time of sums over space and a part of the channels on CPU.
    mean = group(x.mean(space))
    return mean, group(jnp.square(x - jnp.expand_dims(mean, space)).mean(space))
