"""Finite scalar quantization (Mentzer et al., 2023): channels are rounded to a few levels each."""

import math
from dataclasses import dataclass

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import UserError
from jaxcv.nn.straight_through import straight_through
from jaxcv.tokens.quantized import Quantized, Quantizer

MARGIN = 1e-3


@dataclass(frozen=True)
class Scalar(Quantizer):
    """Channel i is bounded to about its number of `levels` and rounded,

        round(h tanh(z + atanh(o / h)) - o),   h = (L - 1) (1 + 1e-3) / 2,   o = 1/2 for even L,

    with the gradient of what is rounded; the shift makes z = 0 land on 0 whatever L. Values are
    the roundings over L // 2, in [-1, 1]. The code is sum_i digit_i prod_{j < i} L_j, with digits
    from 0. Nothing is learned and there is no loss. (The paper's program has the tangent for the
    inverse of tanh, and 1 - 1e-3, which has no inverse at L = 2.)
    """

    levels: tuple[int, ...] = (8, 5, 5, 5)

    def __post_init__(self):
        object.__setattr__(self, 'levels', tuple(self.levels))
        if not self.levels or min(self.levels) < 2:
            raise UserError(f'levels are {self.levels}, but there must be 2 or more for a channel')

    @property
    def codes(self) -> int:
        return math.prod(self.levels)

    def init(self, key, width):
        self.check(width)
        return {}, {}

    def __call__(self, params, state, z, keys=None):
        self.check(z.shape[-1])
        bounded = self.bounded(z.astype(jnp.float32))
        rounded = straight_through(jnp.round(bounded), bounded)
        values = (rounded / self.half).astype(z.dtype)
        digits = jax.lax.stop_gradient(rounded).astype(jnp.int32) + self.half
        return Quantized(values, (digits * self.basis).sum(-1), jnp.zeros(len(z))), state

    def lookup(self, params, state, codes: Int[Array, 'b *s']) -> Float[Array, 'b *s d']:
        digits = codes[..., None] // self.basis % np.asarray(self.levels)
        return (digits - self.half).astype(jnp.float32) / self.half

    def bounded(self, z: Float[Array, '*s d']) -> Float[Array, '*s d']:
        levels = np.asarray(self.levels)
        height, offset = (levels - 1) * (1 + MARGIN) / 2, np.where(levels % 2, 0.0, 0.5)
        shift = np.arctanh(offset / height)
        height, offset, shift = (jnp.float32(x) for x in (height, offset, shift))
        return height * jnp.tanh(z + shift) - offset

    @property
    def half(self) -> np.ndarray:
        return np.asarray(self.levels) // 2

    @property
    def basis(self) -> np.ndarray:
        return np.cumprod((1, *self.levels[:-1]))

    def check(self, width: int):
        if width != len(self.levels):
            raise UserError(
                f'vectors have {width} channels, but fsq has {len(self.levels)} levels, one for a '
                f'channel: project to {len(self.levels)} channels'
            )
