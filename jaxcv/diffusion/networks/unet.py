"""The convolutional U-Net of diffusion (Ho et al., 2020; Dhariwal and Nichol, 2021)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.diffusion.networks.condition import Condition, Embedding, check, joined
from jaxcv.errors import UserError, choose
from jaxcv.nn.attention import SelfAttention
from jaxcv.nn.conv import Conv
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.nn.residual import Downsample, ResidualBlock, Upsample
from jaxcv.nn.transformer import SpatialTransformer

ZEROS = linen.initializers.zeros
ATTENTION = ('none', 'self', 'cross')


class Told(NamedTuple):
    """What every layer may use beside its input."""

    embedding: Float[Array, 'b e']
    condition: Condition
    keys: Key[Array, 'b'] | None


class UNet(linen.Module):
    """Residual blocks at halving sizes down, in the middle, and up again with skip connections.

    Level i has `widths[i]` channels and `blocks` residual blocks (one more on the way up), each
    followed by `attention[i]`: 'none', 'self', or 'cross' (a transformer of `transformer_depth`
    blocks that also attends to condition.tokens). `middle` is that of the middle, or None for no
    middle at all. Heads are `head_width` channels wide, or `heads` in number where that is given.
    `modulation` ('shift' or 'scale_shift') is how time enters a block, and `resample` whether
    images are halved and doubled by a convolution ('conv') or in a residual block ('block').

    DDPM: cosine_first=False, time_shift=1, head_width=256, dropout 0.1. ADM: modulation
    'scale_shift', resample 'block', head_width 64.
    """

    widths: Sequence[int] = (128, 256, 256, 256)
    blocks: int = 2
    attention: Sequence[str] = ('none', 'self', 'none', 'none')
    middle: str | None = 'self'
    out_channels: int | None = None  # default: as many as x has
    learn_sigma: bool = False
    num_classes: int | None = None
    null_class: bool = True
    vector: bool = False  # whether there is a condition.vector
    modulation: str = 'shift'
    resample: str = 'conv'
    padding: int = 1  # 0: the halving convolution pads only below and to the right
    heads: int | Sequence[int] | None = None
    head_width: int = 64
    transformer_depth: int | Sequence[int] = 1
    groups: int = 32
    epsilon: float = 1e-5
    middle_norm: bool = True  # whether the middle's self-attention has a norm
    dropout: float = 0.0
    time_width: int | None = None  # default: 4 * widths[0]
    cosine_first: bool = True
    time_shift: float = 0.0
    remat: bool = False
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b h w c'],
        time: Float[Array, 'b'],
        condition: Condition | None = None,
        train: bool = False,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b h w d']:
        self.check(x)
        crosses = 'cross' in (*self.attention, self.middle)
        condition = check(condition, self.num_classes is not None, crosses, self.vector)
        embedding = sum(self.embedding()(time, condition))
        told = Told(embedding, condition, keys if train else None)
        y = Conv(self.widths[0], dtype=self.dtype, name='conv_in')(joined(x, condition))
        y, skips = self.down(y, told)
        y = self.through_middle(y, told)
        y = self.up(y, skips, told)
        y = jax.nn.silu(GroupNorm(self.groups, self.epsilon, self.dtype, name='norm_out')(y))
        channels = (self.out_channels or x.shape[-1]) * (2 if self.learn_sigma else 1)
        y = Conv(channels, kernel_init=ZEROS, dtype=self.dtype, name='conv_out')(y)
        return y.astype(x.dtype)

    def down(self, y, told):
        """The output, and everything on the way that the way up will want."""
        skips = [y]
        for level, width in enumerate(self.widths):
            for i in range(self.blocks):
                y = self.residual(width, f'down{level}_block{i}')(y, told.embedding, told.keys)
                y = self.attend(y, level, self.attention[level], f'down{level}_attention{i}', told)
                skips.append(y)
            if level < len(self.widths) - 1:
                y = self.resampled(y, width, None, f'down{level}_downsample', told)
                skips.append(y)
        return y, skips

    def through_middle(self, y, told):
        if self.middle is None:
            return y
        width, level = self.widths[-1], len(self.widths) - 1
        y = self.residual(width, 'middle_block0')(y, told.embedding, told.keys)
        y = self.attend(y, level, self.middle, 'middle_attention', told)
        return self.residual(width, 'middle_block1')(y, told.embedding, told.keys)

    def up(self, y, skips, told):
        """Stages are counted from the deepest level, as they run."""
        for stage, level in enumerate(reversed(range(len(self.widths)))):
            width = self.widths[level]
            for i in range(self.blocks + 1):
                y = jnp.concatenate([y, skips.pop()], axis=-1)
                y = self.residual(width, f'up{stage}_block{i}')(y, told.embedding, told.keys)
                y = self.attend(y, level, self.attention[level], f'up{stage}_attention{i}', told)
            if level:
                size = skips[-1].shape[1:3]
                y = self.resampled(y, width, size, f'up{stage}_upsample', told)
        return y

    def residual(self, width, name, resize=None):
        return self.wrap(ResidualBlock)(
            width,
            self.groups,
            self.epsilon,
            modulation=self.modulation,
            resize=resize,
            dropout=self.dropout,
            out_init=ZEROS,
            dtype=self.dtype,
            name=name,
        )

    def attend(self, y, level, kind, name, told):
        if choose(kind, ATTENTION, 'the attention of a level') == 'none':
            return y
        width, heads = y.shape[-1], at(self.heads, level)
        options = {'implementation': self.implementation, 'dtype': self.dtype, 'name': name}
        if kind == 'self':
            head_width = width // heads if heads else min(self.head_width, width)
            normed = self.middle_norm or name != 'middle_attention'
            groups = self.groups if normed else None
            layer = self.wrap(SelfAttention)(head_width, groups, self.epsilon, **options)
            return layer(y)
        depth = at(self.transformer_depth, level)
        heads = heads or width // min(self.head_width, width)
        layer = self.wrap(SpatialTransformer)(heads, depth, self.groups, self.dropout, **options)
        return layer(y, told.condition.tokens, told.condition.mask, told.keys)

    def resampled(self, y, width, size, name, told):
        """Halved, or with `size` doubled to it."""
        if choose(self.resample, ('conv', 'block'), 'resample') == 'block':
            layer = self.residual(width, name, 'up' if size else 'down')
            return layer(y, told.embedding, told.keys)
        if size:
            return Upsample(width, dtype=self.dtype, name=name)(y, size)
        return Downsample(width, self.padding, dtype=self.dtype, name=name)(y)

    def wrap(self, layer):
        return linen.remat(layer) if self.remat else layer

    def embedding(self):
        return Embedding(
            self.time_width or 4 * self.widths[0],
            self.widths[0],
            self.num_classes,
            self.null_class,
            self.vector,
            self.cosine_first,
            self.time_shift,
            dtype=self.dtype,
            name='embedding',
        )

    def check(self, x):
        if len(self.attention) != len(self.widths):
            raise UserError(
                f'a U-Net with {len(self.widths)} widths and {len(self.attention)} entries of '
                f'attention; each level needs one of both'
            )
        times = 2 ** (len(self.widths) - 1)
        even = self.resample == 'block' or self.padding == 0
        if even and (x.shape[1] % times or x.shape[2] % times):
            raise UserError(
                f'a U-Net of {len(self.widths)} levels halves {len(self.widths) - 1} times, so the '
                f'sides of an image must be multiples of {times}, unless resample is "conv" and '
                f'padding 1; got {x.shape[1]}x{x.shape[2]}'
            )


def at(values, level):
    """The level's own number, or the one for all."""
    return values[level] if isinstance(values, Sequence) else values
