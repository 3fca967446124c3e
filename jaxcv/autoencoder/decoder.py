"""The convolutional decoder of latent diffusion (Rombach et al., 2022)."""

from collections.abc import Sequence

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.autoencoder.encoder import attend, attention_of, middle, out, residual
from jaxcv.nn.conv import Conv
from jaxcv.nn.convolve import convolve
from jaxcv.nn.residual import Upsample


class Decoder(linen.Module):
    """The mirror of `Encoder`, with one more residual block at each level:
    [b h w c] -> [b f*h f*w features].

    `widths` and `attention` are in the encoder's order. Stages are counted from the deepest level,
    as they run.
    """

    features: int = 3
    widths: Sequence[int] = (128, 256, 512, 512)
    blocks: int = 2
    attention: Sequence[bool] | None = None  # default: at no level
    middle_attention: bool = True
    groups: int = 32
    activation: str = 'silu'
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, z: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 features']:
        attention = attention_of(self)
        y = Conv(self.widths[-1], dtype=self.dtype, name='conv_in')(z)
        y = middle(self, y)
        for stage, level in enumerate(reversed(range(len(self.widths)))):
            width = self.widths[level]
            for i in range(self.blocks + 1):
                y = residual(self, width, f'up{stage}_block{i}')(y)
                if attention[level]:
                    y = attend(self, width, f'up{stage}_attention{i}')(y)
            if level:
                y = Upsample(width, dtype=self.dtype, name=f'up{stage}_upsample')(y)
        return out(self, y, self.features)


def last_layer(
    params: PyTree[Array], kernel: Float[Array, '3 3 d c'], before: Float[Array, 'b h w d']
) -> Float[Array, 'b h w c']:
    """The last convolution of the decoder of `params`, with another kernel; `before` is what enters
    it, which the decoder sows as `before_last`."""
    return convolve(before, kernel) + params['decoder']['conv_out']['bias']
