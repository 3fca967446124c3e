"""Networks that tell images from what a generator makes of them."""

import math
from collections.abc import Callable, Sequence

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError, choose
from jaxcv.nn import Conv, Dense, convolve
from jaxcv.nn.group_norm import GroupNorm

SLOPE = 0.2  # of the leaky ReLU on its left
NORMS = ('none', 'group', 'instance')
SMALL = linen.initializers.normal(0.02)
BLUR = (1.0, 3.0, 3.0, 1.0)


class PatchDiscriminator(linen.Module):
    """A logit for every patch (Isola et al., 2017): [b h w c] -> [b h2 w2].

    `layers` 4x4 convolutions of stride 2 whose channels double up to 8 * `width`, one of stride 1
    and one to the logits; all but the first and the last are normalized by `norm`. With 3 layers a
    logit sees 70x70 pixels, with 2 34x34, with 1 16x16. There is no batch norm: a logit depends on
    its image alone.
    """

    width: int = 64
    layers: int = 3
    norm: str = 'none'  # or 'group' (in `groups`), 'instance'
    groups: int = 32
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, images: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2']:
        norm = choose(self.norm, NORMS, 'the norm of a discriminator')
        least = 3 * 2**self.layers
        if min(images.shape[1:3]) < least:
            raise UserError(
                f'a patch discriminator of {self.layers} layers needs images of at least '
                f'{least}x{least}; got {images.shape[1]}x{images.shape[2]}: take fewer layers'
            )
        y = images
        for i in range(self.layers + 1):
            width, stride = self.width * min(2**i, 8), 2 if i < self.layers else 1
            y = self.conv(width, stride, f'conv{i}')(y)
            if i > 0 and norm != 'none':
                groups = self.groups if norm == 'group' else width
                y = GroupNorm(groups, dtype=self.dtype, name=f'norm{i}')(y)
            y = jax.nn.leaky_relu(y, SLOPE)
        return self.conv(1, 1, 'logits')(y)[..., 0].astype(jnp.float32)

    def conv(self, width, stride, name):
        return Conv(width, (4, 4), stride, 1, kernel_init=SMALL, dtype=self.dtype, name=name)


class StyleDiscriminator(linen.Module):
    """One logit for an image (Karras et al., 2020): [b h w c] -> [b].

    A 1x1 convolution to `widths[0]` channels, a residual block to each further width that halves
    the image, a 3x3 convolution that also sees the deviation within groups of images, and two
    linear layers. The size of the images is fixed by the first call.

    `equalized` is the equalized learning rate of Karras et al. (2018): kernels are stored with
    variance 1 and multiplied by 1 / sqrt(inputs) where they are used, so that the steps of an
    optimizer like Adam are as large, relative to a kernel, in every layer. Fresh networks are
    the same functions with and without.

    `group` images in a row are compared by `deviation` (0: none are). It must divide the batch of
    a device, and then the logits are the same for every layout of devices.
    """

    widths: Sequence[int] = (64, 128, 256, 512)
    equalized: bool = True
    group: int = 4
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, images: Float[Array, 'b h w c']) -> Float[Array, 'b']:
        halvings = len(self.widths) - 1
        if images.shape[1] % 2**halvings or images.shape[2] % 2**halvings:
            raise UserError(
                f'a discriminator of {len(self.widths)} widths halves {halvings} times, so the '
                f'sides of an image must be multiples of {2**halvings}; got '
                f'{images.shape[1]}x{images.shape[2]}'
            )
        y = active(self.conv(self.widths[0], 1, 'conv_in')(images))
        for i, width in enumerate(self.widths[1:]):
            y = self.block(y, width, f'block{i}')
        if self.group:
            # A module is initialized with whatever batch is at hand.
            group = 1 if self.is_initializing() else self.group
            y = jnp.concatenate([y, deviation(y, group)], axis=-1)
        y = active(self.conv(self.widths[-1], 3, 'conv_out')(y))
        y = active(self.dense(self.widths[-1], 'dense')(y.reshape(len(y), -1)))
        return self.dense(1, 'logit')(y)[..., 0].astype(jnp.float32)

    def block(self, x, width, name):
        """(halved(convolutions(x)) + halved(1x1 convolution of x)) / sqrt(2)."""
        y = active(self.conv(x.shape[-1], 3, f'{name}_conv0')(x))
        y = active(self.conv(width, 3, f'{name}_conv1')(blurred(y)))
        shortcut = self.conv(width, 1, f'{name}_shortcut', use_bias=False)(blurred(x))
        return (y + shortcut) * math.sqrt(0.5)

    def conv(self, width, size, name, **fields):
        def layer(init):
            return Conv(
                width, (size, size), kernel_init=init, dtype=self.dtype, name=name, **fields
            )

        return self.scaled(layer, size * size)

    def dense(self, width, name):
        return self.scaled(
            lambda init: Dense(width, kernel_init=init, dtype=self.dtype, name=name), 1
        )

    def scaled(self, layer, taps) -> Callable:
        """The layer, equalized: a factor of its input is one of its kernel."""

        def apply(x):
            std = 1 / math.sqrt(taps * x.shape[-1])
            if self.equalized:
                return layer(linen.initializers.normal(1.0))(x * std)
            return layer(linen.initializers.normal(std))(x)

        return apply


def active(x: Float[Array, '*s']) -> Float[Array, '*s']:
    """The leaky ReLU that keeps the size of its input."""
    return jax.nn.leaky_relu(x, SLOPE) * math.sqrt(2)


def blurred(x: Float[Array, 'b h w c']) -> Float[Array, 'b h/2 w/2 c']:
    """Every second pixel after the binomial filter [1, 3, 3, 1] / 8 in both directions."""
    line = jnp.asarray(BLUR, x.dtype) / sum(BLUR)
    kernel = jnp.broadcast_to((line[:, None] * line)[:, :, None, None], (4, 4, 1, x.shape[-1]))
    return convolve(x, kernel, strides=2, padding=1, groups=x.shape[-1])


def deviation(x: Float[Array, 'b *s c'], group: int) -> Float[Array, 'b *s 1']:
    """The minibatch standard deviation (Karras et al., 2018): of each group of images in a row,
    over the group, as a mean over positions and channels.

    Published code takes every (b / group)-th image, so that its groups change with the number of
    devices; images in a row do not, as long as no group is divided.
    """
    if len(x) % group:
        raise UserError(
            f'a discriminator that compares groups of {group} images got {len(x)} on a device; '
            f'take a batch that they divide, or a discriminator with group=0'
        )
    parts = x.astype(jnp.float32).reshape(-1, group, *x.shape[1:])
    spread = jnp.sqrt(parts.var(1) + 1e-8).mean(range(1, x.ndim))
    spread = jnp.repeat(spread, group).reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.broadcast_to(spread, (*x.shape[:-1], 1)).astype(x.dtype)
