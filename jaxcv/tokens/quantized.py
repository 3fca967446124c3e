"""What a quantizer is: pure methods of a frozen dataclass of numbers.

    params, state = quantizer.init(key, width)
    found, state = quantizer(params, state, z, keys)      # training
    found, _ = quantizer(params, state, z)                # evaluation
    values = quantizer.lookup(params, state, found.codes)

`params` learn by gradient. `state` learns from statistics of the batch, which are sums over all
devices: it is the same on each of them, and for every number of them. Its leaves are float32.
"""

import math
from typing import NamedTuple

from jaxtyping import Array, Float, Int, Key, PyTree

Params = PyTree[Array]
State = PyTree[Array]


class Quantized(NamedTuple):
    """What a quantizer finds. Losses are means over positions and channels unless a method says
    otherwise, in float32, weighted by the fields of the quantizer."""

    values: Float[Array, 'b *s d']  # for the decoder, with the gradient of z
    codes: Int[Array, 'b *s']
    loss: Float[Array, 'b']


class Quantizer:
    """What all have in common. A subclass is a frozen dataclass with a number of `codes`."""

    codes: int

    def init(self, key: Key[Array, ''], width: int) -> tuple[Params, State]:
        """Of vectors with `width` channels."""
        raise NotImplementedError

    def __call__(
        self,
        params: Params,
        state: State,
        z: Float[Array, 'b h w d'],
        keys: Key[Array, 'b'] | None = None,
    ) -> tuple[Quantized, State]:
        """Without keys: evaluation, and the state as it was."""
        raise NotImplementedError

    def lookup(
        self, params: Params, state: State, codes: Int[Array, 'b *s']
    ) -> Float[Array, 'b h w d']:
        """The values that an evaluation gives for these codes, bit for bit."""
        raise NotImplementedError

    def grid(self, h: int, w: int) -> tuple[int, ...]:
        """The shape of the codes of h x w vectors."""
        return h, w

    def length(self, h: int, w: int) -> int:
        """The number of codes of h x w vectors."""
        return math.prod(self.grid(h, w))
