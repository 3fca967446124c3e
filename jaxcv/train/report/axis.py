"""The axes of a chart: values to pixels, and where the ticks are."""

import math

import numpy as np


class Axis:
    """Values to pixels between `start` and `end`, along a line or a logarithm."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False):
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    @classmethod
    def over(cls, values, start, end, log=False, slack=0.0):
        values = np.log10(values) if log else values
        low, high = float(values.min()), float(values.max())
        if high - low <= 1e-12 * max(abs(low), abs(high)):
            room = abs(low) * 0.1 or 0.5
            return cls(low - room, high + room, start, end, log)
        slack *= high - low
        return cls(low - slack, high + slack, start, end, log)

    @property
    def range(self):
        """Values, or their logarithms, at both ends."""
        return self.low, self.high

    def __call__(self, values):
        if self.log:
            values = np.log10(values)
        return self.start + (values - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        if not self.log:
            return linear_ticks(self.low, self.high, about)
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        every = max(1, -(-(last - first + 1) // (about + 1)))
        return [10.0**power for power in range(first, last + 1, every)]


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten in [low, high], as near to `about` as it goes."""
    power = 10.0 ** math.floor(math.log10((high - low) / about))
    candidates = [_multiples(low, high, m * power) for m in (1, 2, 5, 10)]
    return min(candidates, key=lambda ticks: abs(len(ticks) - about))


def _multiples(low, high, step):
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = 3 - math.floor(math.log10(step))  # 0.1 * 3 is 0.3
    return [round(k * step, digits) for k in range(first, last + 1)]
