"""Lookup-free quantization (Yu et al., 2024, MAGVIT-2): the signs of the channels are the code."""

from dataclasses import dataclass

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.tokens.quantized import Quantized, Quantizer
from jaxcv.tokens.rotation import passed

MOST = 24  # bits whose probabilities are held


@dataclass(frozen=True)
class LookupFree(Quantizer):
    """values = sign(z), with -1 for 0; code = sum_i 2^i [z_i > 0] for i from 0.

    With p(c | z) the softmax over all 2^bits codes c of -||z - c||^2 / temperature, the loss is

        entropy * (mean H(p(. | z)) - diversity * H(mean p(. | z))) + beta ||z - sg(values)||^2

    in nats: each vector should be near one code, the batch (of all devices) use them all. Both
    entropies are exact. p is a product over channels, so H(p) is a sum over them, and the mean of
    p over n vectors is the product A'B of two matrices [n, 2^(bits / 2)].
    """

    bits: int = 10
    entropy: float = 0.1
    diversity: float = 1.0
    beta: float = 0.25
    temperature: float = 0.01

    def __post_init__(self):
        if not 1 <= self.bits <= MOST:
            raise UserError(f'bits are {self.bits}, but lfq takes 1 to {MOST}, one for a channel')

    @property
    def codes(self) -> int:
        return 2**self.bits

    def init(self, key, width):
        self.check(width)
        return {}, {}

    def __call__(self, params, state, z, keys=None):
        self.check(z.shape[-1])
        x, axes = z.astype(jnp.float32), range(1, z.ndim)
        signs = jnp.where(x > 0, 1.0, -1.0)
        codes = ((x > 0) << np.arange(self.bits)).sum(-1)
        loss = self.beta * jnp.square(x - signs).mean(axes)
        if self.entropy:
            # ||z - c||^2 = constant - 2 <z, c>, so a channel's log-odds are 4 z / temperature.
            logits = 4 * x / self.temperature
            certain = binary_entropy(logits).sum(-1).mean(range(1, codes.ndim))
            diverse = entropy(mean_probabilities(logits.reshape(-1, self.bits)))
            loss = loss + self.entropy * (certain - self.diversity * diverse)
        values = passed(signs, x, rotation=False).astype(z.dtype)
        return Quantized(values, codes, loss), state

    def lookup(self, params, state, codes: Int[Array, 'b *s']) -> Float[Array, 'b *s d']:
        return (codes[..., None] >> np.arange(self.bits) & 1) * 2.0 - 1.0

    def check(self, width: int):
        if width != self.bits:
            raise UserError(
                f'vectors have {width} channels, but lfq has {self.bits} bits, one for a channel: '
                f'project to {self.bits} channels'
            )


def binary_entropy(logits: Float[Array, '*s']) -> Float[Array, '*s']:
    """Of a bit that is 1 with probability sigmoid(logit)."""
    return jax.nn.softplus(logits) - logits * jax.nn.sigmoid(logits)


def mean_probabilities(logits: Float[Array, 'n d']) -> Float[Array, '2**d']:
    """How probable each code is for an average vector, over all devices."""
    low, high = jnp.split(logits, [logits.shape[-1] // 2], axis=-1)
    joint = jnp.matmul(joint_of(high).T, joint_of(low), precision='highest')
    return across.mean(joint.reshape(-1) / len(logits))


def joint_of(logits: Float[Array, 'n d']) -> Float[Array, 'n 2**d']:
    """The probability of each way that independent bits can fall, the first bit counting least."""
    bits = np.arange(2 ** logits.shape[-1])[:, None] >> np.arange(logits.shape[-1]) & 1
    signs = jnp.asarray(2.0 * bits - 1)
    return jnp.exp(jax.nn.log_sigmoid(logits[:, None] * signs).sum(-1))


def entropy(probabilities: Float[Array, 'k']) -> Float[Array, '']:
    # The floor: a code that is impossible has an infinite gradient, times 0.
    floor = jnp.finfo(jnp.float32).tiny
    return -(probabilities * jnp.log(jnp.maximum(probabilities, floor))).sum()
