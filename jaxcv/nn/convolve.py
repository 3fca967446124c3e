"""Convolution and its transpose in 1-D, 2-D and 3-D, channels last.

`convolve` is a cross-correlation, as everywhere in deep learning:

    y[b, i, o] = sum over taps t and channels c of
                 x[b, i * strides + t * dilation - low, c] * kernel[t, c, o]

with zeros outside of x. Both functions can be differentiated any number of times, forward and
reverse, and batched; see `jaxcv.nn.bilinear` for why they are not `jax.lax` calls.
"""

from collections.abc import Sequence

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError, choose
from jaxcv.nn.bilinear import product
from jaxcv.nn.geometry import Geometry

Sizes = int | Sequence[int]
# 'SAME' (output = ceil(input / strides)), 'VALID' (none), or zeros per axis: low and high alike,
# or a pair (low, high).
Padding = str | int | Sequence[int | tuple[int, int]]


def convolve(
    x: Float[Array, 'b *s c'],
    kernel: Float[Array, '*k c/groups d'],
    *,
    strides: Sizes = 1,
    padding: Padding = 'SAME',
    dilation: Sizes = 1,
    groups: int = 1,
) -> Float[Array, 'b *t d']:
    """Convolution; `groups` equal to the number of channels is depthwise."""
    rank = check_rank(x, kernel)
    if x.shape[-1] != kernel.shape[-2] * groups or kernel.shape[-1] % groups:
        raise UserError(
            f'a convolution in {groups} groups of {x.shape[-1]} channels with a kernel of shape '
            f'{kernel.shape}: expected channels = groups * {kernel.shape[-2]}, and '
            f'{kernel.shape[-1]} features that the groups divide'
        )
    strides, dilation = per_axis(strides, rank, 'strides'), per_axis(dilation, rank, 'dilation')
    size, taps = x.shape[1:-1], kernel.shape[:-2]
    extent = extents(taps, dilation)
    if isinstance(padding, str):
        target = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        pads = named_pads(padding, size, extent, strides, target)
    else:
        pads = pad_pairs(padding, rank)
    geometry = Geometry(size, taps, strides, pads, dilation, groups)
    if min(geometry.output) < 1:
        raise UserError(
            f'a convolution of size {size} with a kernel that spans {extent} and padding '
            f'{pads} has no output: expected padded sizes of at least the span'
        )
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return product('y', x.astype(dtype), kernel.astype(dtype), geometry)


def convolve_transpose(
    x: Float[Array, 'b *s c'],
    kernel: Float[Array, '*k d/groups c'],
    *,
    strides: Sizes = 1,
    padding: Padding = 'SAME',
    dilation: Sizes = 1,
    groups: int = 1,
    output_padding: Sizes = 0,
) -> Float[Array, 'b *t d']:
    """Transposed convolution: the gradient of `convolve`, with the same arguments, with respect to
    its input. The kernel is that convolution's, so its last axis is the channels of `x`.

    Output size: 'SAME' gives size * strides; otherwise (size - 1) * strides + span - low - high +
    output_padding, where span = (taps - 1) * dilation + 1 and `output_padding` < strides.
    This is torch's `conv_transpose2d` with its weight (c, d / groups, *k) moved to (*k, d / groups,
    c). linen's `ConvTranspose` is another map unless `transpose_kernel=True`.
    """
    rank = check_rank(x, kernel)
    if x.shape[-1] != kernel.shape[-1] or x.shape[-1] % groups:
        raise UserError(
            f'a transposed convolution in {groups} groups of {x.shape[-1]} channels with a kernel '
            f'of shape {kernel.shape}: its last axis must be the channels, divisible by groups'
        )
    strides, dilation = per_axis(strides, rank, 'strides'), per_axis(dilation, rank, 'dilation')
    extra = per_axis(output_padding, rank, 'output_padding')
    if any(e >= s for e, s in zip(extra, strides, strict=True)):
        raise UserError(f'output_padding is {extra}, but must be less than strides {strides}')
    output, taps = x.shape[1:-1], kernel.shape[:-2]
    extent = extents(taps, dilation)
    if padding == 'SAME':
        size = tuple(n * s for n, s in zip(output, strides, strict=True))
        pads = named_pads(padding, size, extent, strides, output)
    else:
        pads = pad_pairs(0 if padding == 'VALID' else padding, rank)
        size = tuple(
            (n - 1) * s + e - low - high + more
            for n, s, e, (low, high), more in zip(output, strides, extent, pads, extra, strict=True)
        )
    if min(size) < 1:
        raise UserError(f'a transposed convolution to size {size}: the padding {pads} is too large')
    geometry = Geometry(size, taps, strides, pads, dilation, groups)
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return product('x', kernel.astype(dtype), x.astype(dtype), geometry)


def check_rank(x: Array, kernel: Array) -> int:
    """Number of spatial axes."""
    rank = kernel.ndim - 2
    if x.ndim != kernel.ndim or rank not in (1, 2, 3):
        raise UserError(
            f'a convolution of shape {x.shape} with a kernel of shape {kernel.shape}: expected '
            '[batch, *space, channels] and [*taps, channels, features] with 1 to 3 axes of space'
        )
    return rank


def per_axis(value: Sizes, rank: int, what: str) -> tuple[int, ...]:
    """One number per axis of space."""
    sizes = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(sizes) != rank:
        raise UserError(f'{what} is {value}, but must be a number or {rank} numbers')
    return sizes


def extents(taps: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How far a kernel spans in its input."""
    return tuple((k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True))


def named_pads(
    name: str,
    size: Sequence[int],
    extent: Sequence[int],
    strides: Sequence[int],
    target: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Pairs for 'VALID', or for 'SAME' so that the output has the `target` size. What is odd goes
    to the high side, as in XLA and TensorFlow."""
    if choose(name, ('SAME', 'VALID'), 'padding') == 'VALID':
        return ((0, 0),) * len(size)
    total = [
        max((t - 1) * s + e - n, 0)
        for n, e, s, t in zip(size, extent, strides, target, strict=True)
    ]
    return tuple((t // 2, t - t // 2) for t in total)


def pad_pairs(padding: Padding, rank: int) -> tuple[tuple[int, int], ...]:
    """Pairs (low, high) from numbers or pairs."""
    if isinstance(padding, str):
        choose(padding, ('SAME', 'VALID'), 'padding')
    per = (padding,) * rank if isinstance(padding, int) else tuple(padding)
    if len(per) != rank:
        raise UserError(f'padding is {padding}, but must be a number or {rank} numbers or pairs')
    return tuple((p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in per)
