"""Picking codes by their logits: temperature, the most likely few, and the draw."""

from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.errors import UserError

NEVER = -jnp.inf
BLOCK = 32


class Pick(NamedTuple):
    """How to change logits before the draw. Temperature 0 takes the most likely."""

    temperature: float | Float[Array, ''] = 1.0
    top_k: int | None = None  # of the k most likely
    top_p: float | None = None  # of the fewest that have this much of the probability together

    def __call__(self, logits: Float[Array, '*s k']) -> Float[Array, '*s k']:
        if isinstance(self.temperature, int | float) and self.temperature == 0:
            return most_likely(logits, 1)
        logits = logits / self.temperature
        if self.top_k is not None:
            logits = most_likely(logits, self.top_k)
        return logits if self.top_p is None else nucleus(logits, self.top_p)


PLAIN = Pick()


def most_likely(logits: Float[Array, '*s k'], count: int) -> Float[Array, '*s k']:
    """-inf for all but the `count` highest, and what equals the lowest of them."""
    if count < 1:
        raise UserError(f'top_k is {count}, but must be at least 1')
    least = jax.lax.top_k(logits, min(count, logits.shape[-1]))[0][..., -1:]
    return jnp.where(logits >= least, logits, NEVER)


def nucleus(logits: Float[Array, '*s k'], part: float) -> Float[Array, '*s k']:
    """-inf for all but the fewest highest whose probabilities sum to `part` or more (Holtzman et
    al., 2020), and what equals the lowest of them."""
    if not 0 < part <= 1:
        raise UserError(f'top_p is {part}, but must be above 0 and at most 1')
    if part == 1:
        return logits
    ordered = jnp.flip(jnp.sort(logits, axis=-1), axis=-1)
    probabilities = jax.nn.softmax(ordered, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    # What comes before the highest is 0, but by rounding may not be.
    kept = (before < part).at[..., 0].set(True)
    least = jnp.where(kept, ordered, jnp.inf).min(-1, keepdims=True)
    return jnp.where(logits >= least, logits, NEVER)


def draw(logits: Float[Array, '*s k'], noise: Float[Array, '*s']) -> Int[Array, '*s']:
    """Codes with probabilities softmax(logits), from noise that is uniform in [0, 1): the code at
    which the sum of the probabilities first exceeds the noise.

    One number for each code drawn, where the maximum of logits plus Gumbel noise would need k.
    """
    logits = logits.astype(jnp.float32)
    weights = jnp.exp(logits - logits.max(-1, keepdims=True))
    # Sums over different parts round differently: a code without weight shall have no share.
    sums = jnp.where(weights > 0, cumulative(weights), 0.0)
    total = sums.max(-1)
    below = total * (1 - jnp.finfo(jnp.float32).eps)
    passed = sums > jnp.minimum(noise * total, below)[..., None]
    size = logits.shape[-1]
    return size - jnp.where(passed, size - jnp.arange(size), 0).max(-1)


def cumulative(x: Float[Array, '*s k']) -> Float[Array, '*s k']:
    """`jnp.cumsum` along the last axis by products with triangles: a third of its time on CPU."""
    *s, size = x.shape
    padded = jnp.pad(x, [(0, 0)] * len(s) + [(0, -size % BLOCK)])
    blocks = padded.reshape(*s, -1, BLOCK)
    within = jnp.matmul(blocks, np.triu(np.ones((BLOCK, BLOCK), x.dtype)), precision='highest')
    count = blocks.shape[-2]
    earlier = np.triu(np.ones((count, count), x.dtype), 1)
    before = jnp.matmul(within[..., -1], earlier, precision='highest')
    return (within + before[..., None]).reshape(padded.shape)[..., :size]


def uniform(keys: Key[Array, 'b'], shape: tuple[int, ...]) -> Float[Array, 'b *shape']:
    """Noise for `draw`; a sample's depends on its key only."""
    return jax.vmap(lambda key: jax.random.uniform(key, shape))(keys)


def nats(logits: Float[Array, '*s k'], codes: Int[Array, '*s']) -> Float[Array, '*s']:
    """-log softmax(logits) of the codes, in float32."""
    logits = logits.astype(jnp.float32)
    own = jnp.take_along_axis(logits, codes[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - own
