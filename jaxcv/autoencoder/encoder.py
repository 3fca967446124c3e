"""The convolutional encoder of latent diffusion (Rombach et al., 2022)."""

from collections.abc import Sequence

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError
from jaxcv.nn.attention import SelfAttention
from jaxcv.nn.conv import Conv
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.nn.residual import Downsample, ResidualBlock

EPSILON = 1e-6  # of every group norm


class Encoder(linen.Module):
    """Residual blocks at halving sizes: [b h w c] -> [b h/f w/f features], f = 2^(levels - 1).

    Level i has `widths[i]` channels and `blocks` residual blocks, each followed by self-attention
    in one head where `attention[i]`; the middle has two blocks and, with `middle_attention`, one
    attention between them.
    """

    features: int
    widths: Sequence[int] = (128, 256, 512, 512)
    blocks: int = 2
    attention: Sequence[bool] | None = None  # default: at no level
    middle_attention: bool = True
    groups: int = 32
    activation: str = 'silu'
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 features']:
        attention = attention_of(self)
        halvings = len(self.widths) - 1
        if x.shape[1] % 2**halvings or x.shape[2] % 2**halvings:
            raise UserError(
                f'an encoder of {len(self.widths)} levels halves {halvings} times, so the sides of '
                f'an image must be multiples of {2**halvings}; got {x.shape[1]}x{x.shape[2]}'
            )
        y = Conv(self.widths[0], dtype=self.dtype, name='conv_in')(x)
        for level, width in enumerate(self.widths):
            for i in range(self.blocks):
                y = residual(self, width, f'down{level}_block{i}')(y)
                if attention[level]:
                    y = attend(self, width, f'down{level}_attention{i}')(y)
            if level < halvings:
                y = Downsample(width, 0, dtype=self.dtype, name=f'down{level}_downsample')(y)
        y = middle(self, y)
        return out(self, y, self.features)


def attention_of(module: linen.Module) -> Sequence[bool]:
    """Whether each level attends."""
    levels = len(module.widths)
    attention = (False,) * levels if module.attention is None else tuple(module.attention)
    if len(attention) != levels:
        raise UserError(
            f'an autoencoder with {levels} widths and {len(attention)} entries of attention; each '
            f'level needs one of both'
        )
    return attention


def residual(module: linen.Module, width: int, name: str) -> ResidualBlock:
    return ResidualBlock(
        width, module.groups, EPSILON, module.activation, dtype=module.dtype, name=name
    )


def attend(module: linen.Module, width: int, name: str) -> SelfAttention:
    return SelfAttention(width, module.groups, EPSILON, dtype=module.dtype, name=name)


def middle(module: linen.Module, y: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    """Two residual blocks and the attention between them."""
    width = module.widths[-1]
    y = residual(module, width, 'middle_block0')(y)
    if module.middle_attention:
        y = attend(module, width, 'middle_attention')(y)
    return residual(module, width, 'middle_block1')(y)


def out(
    module: linen.Module, y: Float[Array, 'b h w c'], features: int
) -> Float[Array, 'b h w features']:
    """The last convolution, which sees silu of the normalized (whatever `activation` is)."""
    y = jax.nn.silu(GroupNorm(module.groups, EPSILON, module.dtype, name='norm_out')(y))
    module.sow('intermediates', 'before_last', y)
    return Conv(features, dtype=module.dtype, name='conv_out')(y)
