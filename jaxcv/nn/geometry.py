"""The shapes of a convolution."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """Everything about a convolution but its channels: one entry per axis of space."""

    size: tuple[int, ...]  # of the input
    taps: tuple[int, ...]  # of the kernel
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]  # zeros before and after; negative pads crop
    dilation: tuple[int, ...]
    groups: int

    @property
    def extent(self) -> tuple[int, ...]:
        """How far the kernel spans in the input."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.taps, self.dilation, strict=True))

    @property
    def output(self) -> tuple[int, ...]:
        """Size of the output."""
        axes = zip(self.size, self.pads, self.extent, self.strides, strict=True)
        return tuple((n + sum(pads) - e) // s + 1 for n, pads, e, s in axes)

    def result(self, role: str, a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
        """Shape of what plays `role`, x [b, *size, c], k [*taps, c / groups, d] or
        y [b, *output, d], from the shapes of the other two in that order."""
        if role == 'y':
            return a[0], *self.output, b[-1]
        if role == 'x':
            return b[0], *self.size, a[-2] * self.groups
        return *self.taps, a[-1] // self.groups, b[-1]
