"""How each face of the convolution (`jaxcv.nn.bilinear`) is computed.

`autodiff` is what `jax.lax` and its derivatives give: right for GPU and TPU. `canonical` is for
CPU, where XLA has one fast path: a convolution in the layout [b, *s, c] x [*k, c, d] ->
[b, *s, d]. Outside of loops XLA rewrites other layouts to that one, inside it does not; so here
each face is written in it, with explicit transpositions.
"""

import math
from dataclasses import replace

import jax
from jax import numpy as jnp

from jaxcv.nn import depthwise, patches
from jaxcv.nn.geometry import Geometry

# Up to here the groups run one by one, which is faster than XLA's grouped convolution.
FEW_GROUPS = 8
# Up to here the taps are written out (`depthwise`, `patches`), which costs compile time.
FEW_TAPS = 64
# Bytes of patches up to which the product over patches wins: what a cache holds. Measured in a
# scan on two cores: 10x10x4, 16 features, batch 64: 0.20 ms against 0.30; 64x64x16, batch 1, kernel
# gradient: 0.7 against 3.6; but 16x16x64, batch 16 (9 MB): 3.8 against 2.8, and as loses batch 4
# (2.4 MB) in the U-Net of `benchmarks/diffusion.py`, but for the kernel gradient.
CACHED = {'y': 1_000_000, 'x': 1_000_000, 'k': 2_500_000}
# The kernel gradient is a convolution whose channels are the samples. It is the slower with few
# samples, and with few channels under much output: 10x10x4, 16 features, batch 1024: 3.7 ms
# against 1.6; 34x34x3, 32 features, batch 128: 21 against 4.5; but batch 64 of the first: 0.11
# against 0.17.
FEW_SAMPLES = 4
FEW_CHANNELS = 16
MUCH_OUTPUT = 500_000


def convolve_general(a, kernel, strides, pads, groups=1, a_dilation=None, kernel_dilation=None):
    space = 'DHW'[5 - a.ndim :]
    return jax.lax.conv_general_dilated(
        a,
        kernel,
        strides,
        pads,
        lhs_dilation=a_dilation,
        rhs_dilation=kernel_dilation,
        dimension_numbers=(f'N{space}C', f'{space}IO', f'N{space}C'),
        feature_group_count=groups,
    )


def forward(x, k, geometry: Geometry):
    return convolve_general(
        x,
        k,
        geometry.strides,
        geometry.pads,
        geometry.groups,
        kernel_dilation=geometry.dilation,
    )


def autodiff(role: str, a, b, geometry: Geometry):
    """The faces as `jax.lax` differentiates its convolution."""
    if role == 'y':
        return forward(a, b, geometry)
    primal = jax.ShapeDtypeStruct(geometry.result(role, a.shape, b.shape), a.dtype)
    if role == 'x':
        return jax.linear_transpose(lambda x: forward(x, a, geometry), primal)(b)[0]
    return jax.linear_transpose(lambda k: forward(a, k, geometry), primal)(b)[0]


def canonical(role: str, a, b, geometry: Geometry):
    """The faces as convolutions in the one layout that is fast on CPU, or as products."""
    groups = geometry.groups
    few_taps = math.prod(geometry.taps) <= FEW_TAPS
    if groups == 1:
        faces = patches.FACES if few_taps and by_patches(role, a, b, geometry) else CONVOLUTION
        return faces[role](a, b, geometry)
    inputs = a.shape[-2] * groups if role == 'x' else a.shape[-1]
    if inputs == b.shape[-1] == groups and few_taps:
        return depthwise.FACES[role](a, b, geometry)
    if groups > FEW_GROUPS:
        return CONVOLUTION[role](a, b, geometry)
    pairs = zip(jnp.split(a, groups, -1), jnp.split(b, groups, -1), strict=True)
    one = replace(geometry, groups=1)
    return jnp.concatenate([CONVOLUTION[role](p, q, one) for p, q in pairs], -1)


def by_patches(role: str, a, b, geometry: Geometry) -> bool:
    """Whether the product over patches is the faster."""
    image, positions = (b, geometry.size) if role == 'x' else (a, geometry.output)
    samples, channels = image.shape[0], image.shape[-1]
    if role == 'k' and samples > FEW_SAMPLES:
        return channels <= FEW_CHANNELS and b.size >= MUCH_OUTPUT
    numbers = samples * math.prod(positions) * math.prod(geometry.taps) * channels
    return numbers * image.dtype.itemsize <= CACHED[role]


def input_gradient(k, y, geometry: Geometry):
    """Convolves y, spread out by the strides, with the kernel flipped and its channels swapped."""
    space = tuple(range(k.ndim - 2))
    groups, (inputs, features) = geometry.groups, k.shape[-2:]
    k = jnp.flip(k, space).reshape(*k.shape[:-1], groups, features // groups)
    k = jnp.swapaxes(k, -1, -3).reshape(*geometry.taps, features // groups, groups * inputs)
    pads = [
        # The high side makes up what a stride that does not divide has left over.
        (e - 1 - low, n + low - 1 - (o - 1) * s)
        for e, (low, _), n, o, s in zip(
            geometry.extent,
            geometry.pads,
            geometry.size,
            geometry.output,
            geometry.strides,
            strict=True,
        )
    ]
    ones = (1,) * len(space)
    return convolve_general(y, k, ones, pads, groups, geometry.strides, geometry.dilation)


def kernel_gradient(x, y, geometry: Geometry):
    """Convolves x with y as the kernel: channels act as samples, and samples as channels."""
    groups, samples = geometry.groups, x.shape[0]
    x = jnp.moveaxis(x.reshape(*x.shape[:-1], groups, -1), (0, -1), (-1, 0))
    x = x.reshape(*x.shape[:-2], groups * samples)
    pads = [
        # The high side makes the result as large as the kernel; a remainder is cropped.
        (low, (o - 1) * s + (k - 1) * d + 1 - n - low)
        for low, o, s, k, d, n in zip(
            (low for low, _ in geometry.pads),
            geometry.output,
            geometry.strides,
            geometry.taps,
            geometry.dilation,
            geometry.size,
            strict=True,
        )
    ]
    y = jnp.moveaxis(y, 0, -2)
    k = convolve_general(x, y, geometry.dilation, pads, groups, kernel_dilation=geometry.strides)
    return jnp.moveaxis(k, 0, -2)


CONVOLUTION = {'y': forward, 'x': input_gradient, 'k': kernel_gradient}
