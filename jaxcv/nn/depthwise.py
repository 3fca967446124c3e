"""Depthwise convolutions as sums of shifted products.

XLA's CPU backend runs a grouped convolution group by group, which for groups of one channel is
20 times slower than one multiplication per tap over all channels at once.
"""

import itertools
from dataclasses import replace

import jax
from jax import numpy as jnp

from jaxcv.nn.geometry import Geometry

# Numbers of x at a time in the kernel gradient: what a core's cache holds beside their products.
CACHED = 65_536


def windows(x, geometry: Geometry):
    """For each tap, what it sees: [b, *output, c]."""
    x = jax.lax.pad(
        x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*p, 0) for p in geometry.pads), (0, 0, 0)]
    )
    for tap in itertools.product(*map(range, geometry.taps)):
        start = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        axes = zip(start, geometry.output, geometry.strides, strict=True)
        stop = [a + (o - 1) * s + 1 for a, o, s in axes]
        yield (
            tap,
            jax.lax.slice(
                x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *geometry.strides, 1)
            ),
        )


def forward(x, k, geometry: Geometry):
    return sum(window * k[tap][0] for tap, window in windows(x, geometry))


def kernel_gradient(x, y, geometry: Geometry):
    """Sums the products over samples and space, a few samples at a time: 4 ms for 16x16x16x64 and
    7x7 taps, where the sum over all at once takes 17 to 60 and XLA's grouped convolution 24."""
    samples, each = x.shape[0], max(x[0].size, 1)
    fitting = [n for n in range(1, samples + 1) if samples % n == 0 and n * each <= CACHED]
    some = max(fitting, default=1)

    def add(total, parts):
        return total + tap_sums(*parts, geometry), None

    parts = (a.reshape(samples // some, some, *a.shape[1:]) for a in (x, y))
    zero = jnp.zeros((*geometry.taps, 1, x.shape[-1]), x.dtype)
    return jax.lax.scan(add, zero, tuple(parts))[0]


def tap_sums(x, y, geometry: Geometry):
    # A product with ones: XLA's own sum over leading axes is not vectorized.
    ones = jnp.ones((1, y.size // y.shape[-1]), y.dtype)
    taps = [ones @ (window * y).reshape(-1, y.shape[-1]) for _, window in windows(x, geometry)]
    return jnp.concatenate(taps).reshape(*geometry.taps, 1, -1)


def spread(y, geometry: Geometry):
    """y with zeros between its entries (the strides) and around it, and the geometry in which a
    convolution of that with the flipped kernel is the gradient with respect to the input."""
    axes = zip(
        geometry.extent,
        geometry.pads,
        geometry.size,
        geometry.output,
        geometry.strides,
        strict=True,
    )
    # The high side makes up what a stride that does not divide has left over.
    pads = [(e - 1 - low, n + low - 1 - (o - 1) * s, s - 1) for e, (low, _), n, o, s in axes]
    y = jax.lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    ones, none = (1,) * len(pads), ((0, 0),) * len(pads)
    return y, replace(geometry, size=y.shape[1:-1], strides=ones, pads=none)


def flip(k):
    return jnp.flip(k, tuple(range(k.ndim - 2)))


def input_gradient(k, y, geometry: Geometry):
    y, flipped = spread(y, geometry)
    return forward(y, flip(k), flipped)


FACES = {'y': forward, 'x': input_gradient, 'k': kernel_gradient}
