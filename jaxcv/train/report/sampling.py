"""Long series as few points: extremes kept, noise taken out."""

import math

import numpy as np
from jaxtyping import Float

SMOOTH = 40  # the smoothed line's window is this part of the series; shorter ones are left alone
NOISE = 0.01  # bend between neighbors, as a share of the range, that asks for smoothing


def downsample(
    x: Float[np.ndarray, 'n'], y: Float[np.ndarray, 'n'], buckets: int
) -> tuple[Float[np.ndarray, 'm'], Float[np.ndarray, 'm']]:
    """At most 2 * `buckets` points: the least and the greatest of each bucket, in order, so that
    every extreme stays. `x` is sorted. The first and the last point stay too."""
    if len(x) <= 2 * buckets:
        return x, y
    share = (x - x[0]) / max(x[-1] - x[0], 1e-12)
    bucket = np.minimum((share * (buckets - 1)).astype(int), buckets - 2)
    order = np.lexsort((y, bucket))
    starts = np.flatnonzero(np.diff(bucket[order], prepend=-1))
    ends = np.append(starts[1:], len(order)) - 1
    keep = np.unique(np.concatenate([order[starts], order[ends], [0, len(x) - 1]]))
    return x[keep], y[keep]


def smooth(y: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'n']:
    """At each point the line fitted to its surroundings with Gaussian weights: straight lines
    stay what they are, at the ends too."""
    width = max(len(y) / SMOOTH, 1.0)
    reach = math.ceil(2 * width)
    offset = np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * (offset / width) ** 2)

    def moment(values, power):  # convolving turns the kernel round
        return np.convolve(values, (weight * offset**power)[::-1])[reach:-reach]

    ones = np.ones_like(y)
    s0, s1, s2 = (moment(ones, power) for power in range(3))
    return (s2 * moment(y, 0) - s1 * moment(y, 1)) / (s0 * s2 - s1**2)


def noisy(y: Float[np.ndarray, 'n']) -> bool:
    """Whether it is long, and neighbors typically bend so much that smoothing helps the eye."""
    return len(y) > SMOOTH and np.median(np.abs(np.diff(y, 2))) > NOISE * np.ptp(y)


def evenly(
    x: Float[np.ndarray, 'n'], y: Float[np.ndarray, 'n'], most: int = 180
) -> tuple[Float[np.ndarray, 'm'], Float[np.ndarray, 'm']]:
    """Evenly spaced points of a smooth line."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))
    return x[keep], y[keep]
