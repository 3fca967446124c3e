"""Residual quantization (Lee et al., 2022): each stage quantizes what those before it left."""

from dataclasses import dataclass, field

import jax
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens.ema import EMA
from jaxcv.tokens.quantized import Quantized, Quantizer
from jaxcv.tokens.rotation import passed


@dataclass(frozen=True)
class Residual(Quantizer):
    """The sum of the codes that `depth` stages find: r_0 = z, r_i+1 = r_i - e_i. Codes are
    [b h w depth]; the loss is the sum of the stages' losses.

    inner: what quantizes a stage. shared: all stages have the same codebook, which then learns
    from each of them in turn. rotation: as in `VQ`, of z and the sum.
    """

    inner: Quantizer = field(default_factory=EMA)
    depth: int = 4
    shared: bool = False
    rotation: bool = False

    def __post_init__(self):
        own = getattr(self.inner, 'cosine', False), getattr(self.inner, 'rotation', False)
        if any(own):
            raise UserError(
                'the inner quantizer has cosine or rotation, which mean nothing for residuals: '
                'leave them out; `rotation` of the residual quantizer is for all stages'
            )

    @property
    def codes(self) -> int:
        return self.inner.codes

    def grid(self, h, w):
        return (*self.inner.grid(h, w), self.depth)

    def init(self, key, width):
        """One pair of the inner quantizer per codebook."""
        count = 1 if self.shared else self.depth
        pairs = [self.inner.init(key, width) for key in jax.random.split(key, count)]
        params, state = zip(*pairs, strict=True)
        return list(params), list(state)

    def __call__(self, params, state, z, keys=None):
        state, rest, total = list(state), z.astype(jnp.float32), 0.0
        codes, loss = [], 0.0
        for stage in range(self.depth):
            at = self.at(stage)
            own = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, stage)
            found, state[at] = self.inner(params[at], state[at], rest, own)
            e = jax.lax.stop_gradient(found.values)
            rest, total = rest - e, total + e
            codes.append(found.codes)
            loss = loss + found.loss
        values = passed(total, z.astype(jnp.float32), self.rotation).astype(z.dtype)
        return Quantized(values, jnp.stack(codes, -1), loss), state

    def lookup(self, params, state, codes):
        total = 0.0
        for stage in range(self.depth):
            at = self.at(stage)
            total = total + self.inner.lookup(params[at], state[at], codes[..., stage])
        return total

    def at(self, stage: int) -> int:
        """Where the parameters and the state of a stage are."""
        return 0 if self.shared else stage
