"""A codebook through the Gumbel-softmax relaxation (Jang et al., 2017), as in the discrete VAE of
DALL-E (Ramesh et al., 2021)."""

import math
from dataclasses import dataclass

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.tokens import codebook as codebooks
from jaxcv.tokens.nearest import rows
from jaxcv.tokens.quantized import Quantized, Quantizer

Logits = Float[Array, '*s k']


@dataclass(frozen=True)
class Gumbel(Quantizer):
    """z gives logits l, a linear function of it, and q = softmax(l) is what is believed of the
    codes. In training the values are a mixture of all codes e, with the weights

        softmax((l + g) / tau),   g = -log(-log(u)) for uniform u;

    in evaluation they are the code of the largest logit. The loss is weight * KL(q || uniform), in
    nats, a mean over positions. tau goes from `start` to `end` on half a cosine in `steps` batches.
    """

    codes: int = 512
    weight: float = 5e-4
    start: float = 1.0
    end: float = 1 / 16
    steps: int = 150_000

    def init(self, key, width):
        """The state is the number of batches so far."""
        first, second = jax.random.split(key)
        kernel = jax.random.normal(first, (width, self.codes)) / math.sqrt(width)
        codebook = jax.random.normal(second, (self.codes, width))
        return {'kernel': kernel, 'bias': jnp.zeros(self.codes), 'codebook': codebook}, {
            'step': jnp.zeros(())
        }

    def temperature(self, state) -> Float[Array, '']:
        done = jnp.minimum(state['step'] / self.steps, 1.0)
        return self.end + (self.start - self.end) * (1 + jnp.cos(jnp.pi * done)) / 2

    def __call__(self, params, state, z, keys=None):
        logits = (z @ params['kernel'] + params['bias']).astype(jnp.float32)
        codes = jnp.argmax(logits, -1)
        loss = self.weight * divergence(logits).mean(range(1, codes.ndim))
        if keys is None:
            return Quantized(rows(params['codebook'], codes).astype(z.dtype), codes, loss), state
        weights = relaxed(logits, self.temperature(state), keys).astype(z.dtype)
        values = weights @ params['codebook'].astype(z.dtype)
        return Quantized(values, codes, loss), {'step': state['step'] + 1}

    def lookup(self, params, state, codes):
        return params['codebook'][codes]


def relaxed(
    logits: Float[Array, 'b *s k'],
    temperature: Float[Array, ''] | float,
    keys: Key[Array, 'b'],
) -> Float[Array, 'b *s k']:
    """A sample of the relaxed one-hot vectors: softmax((logits + g) / temperature)."""
    noise = jax.vmap(lambda key: jax.random.gumbel(codebooks.own(key), logits.shape[1:]))(keys)
    return jax.nn.softmax((logits + noise) / temperature)


def divergence(logits: Float[Array, '*s k']) -> Float[Array, '*s']:
    """KL(softmax(logits) || uniform) = log k - entropy, in nats."""
    log_p = jax.nn.log_softmax(logits)
    return math.log(logits.shape[-1]) + (jnp.exp(log_p) * log_p).sum(-1)
