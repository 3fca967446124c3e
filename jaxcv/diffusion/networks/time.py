"""How a network is told the time."""

import math

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.nn.dense import Dense


def sinusoidal(
    time: Float[Array, 'b'],
    features: int,
    *,
    cosine_first: bool = True,
    shift: float = 0.0,
    max_period: float = 10_000.0,
) -> Float[Array, 'b features']:
    """[cos(w t), sin(w t)] at geometric frequencies, in float32 (Vaswani et al., 2017).

    w_i = max_period^(-i / (half - shift)), i = 0 ... half - 1, half = features // 2; a zero makes
    up an odd number. `cosine_first` is diffusers' flip_sin_to_cos and `shift` its
    downscale_freq_shift; DDPM has False and 1, ADM and DiT True and 0.
    """
    half = features // 2
    exponent = jnp.arange(half, dtype=jnp.float32) / (half - shift)
    angle = time.astype(jnp.float32)[:, None] * jnp.exp(-math.log(max_period) * exponent)
    waves = [jnp.cos(angle), jnp.sin(angle)] if cosine_first else [jnp.sin(angle), jnp.cos(angle)]
    return jnp.pad(jnp.concatenate(waves, axis=-1), ((0, 0), (0, features % 2)))


class Perceptron(linen.Module):
    """dense2(silu(dense1(x))), both of `features` outputs."""

    features: int
    kernel_init: linen.initializers.Initializer = linen.initializers.lecun_normal()
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x: Float[Array, 'b c']) -> Float[Array, 'b features']:
        for name in ('dense1', 'dense2'):
            x = jax.nn.silu(x) if name == 'dense2' else x
            x = Dense(self.features, kernel_init=self.kernel_init, dtype=self.dtype, name=name)(x)
        return x
