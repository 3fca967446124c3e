"""Codes one after another, by a causal transformer (as in Esser et al., 2021), and text then image
(DALL-E, Ramesh et al., 2021)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.errors import UserError
from jaxcv.nn.dense import Dense
from jaxcv.tokens import guidance as guide
from jaxcv.tokens.pick import PLAIN, Pick, draw, nats, uniform
from jaxcv.tokens.sampled import Sampled
from jaxcv.tokens.told import INIT, Told
from jaxcv.tokens.transformer import Cache, Transformer


class Predicted(NamedTuple):
    """Logits of everything from what comes before it."""

    codes: Float[Array, 'b n k']
    text: Float[Array, 'b t words'] | None  # where the prior is told texts


class Autoregressive(linen.Module):
    """p(code i | what is told, codes before i) for the `length` codes of the transformer."""

    codes: int
    transformer: Transformer

    def setup(self):
        fields = {'dtype': self.transformer.dtype}
        self.embed = linen.Embed(self.codes, self.transformer.width, embedding_init=INIT, **fields)
        self.head = Dense(self.codes, kernel_init=INIT, **fields)
        if self.transformer.words:
            self.text_head = Dense(self.transformer.words, kernel_init=INIT, **fields)

    def __call__(
        self,
        codes: Int[Array, 'b n'],
        told: Told | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Predicted:
        """`keys` are there in training."""
        prefix = self.transformer.prefix
        y = self.transformer(self.embed(codes[:, :-1]), told, self.levels(), keys)
        text = self.text_head(y[:, : prefix - 1]) if self.transformer.words else None
        return Predicted(self.head(y[:, prefix - 1 :]), text)

    def begin(
        self, codes: Int[Array, 'b m'], told: Told | None = None
    ) -> tuple[Float[Array, 'b k'], Cache]:
        """Logits of the code after the first m, in one call."""
        y, cache = self.transformer.begin(self.embed(codes), told, self.levels())
        return self.head(y[:, -1]), cache

    def extend(
        self, codes: Int[Array, 'b m'], at: int | Int[Array, ''], cache: Cache
    ) -> tuple[Float[Array, 'b m k'], Cache]:
        """Logits of the codes after each of the codes number at, at + 1 ... at + m - 1."""
        y, cache = self.transformer.extend(self.embed(codes), at, cache, self.levels())
        return self.head(y), cache

    def levels(self) -> np.ndarray:
        return np.arange(self.transformer.room)


def loss(
    apply: Callable[..., Predicted],
    codes: Int[Array, 'b n'],
    told: Told | None,
    keys: Key[Array, 'b'] | None = None,
    text_weight: float = 0.0,
) -> Float[Array, 'b']:
    """Nats per code, plus `text_weight` times nats per token of the text.

    DALL-E's loss is (text + 7 image) / 8, here text_weight=1/7 up to a factor. It learns a padding
    token for every place of the text; here padding is neither attended to nor predicted.
    """
    found = apply(codes, told, keys)
    total = nats(found.codes, codes).mean(-1)
    if not text_weight:
        return total
    if found.text is None:
        raise UserError('a loss of the text needs a prior that is told texts')
    real = told.text != 0
    text = jnp.where(real, nats(found.text, told.text), 0.0).sum(-1)
    return total + text_weight * text / jnp.maximum(real.sum(-1), 1)


def sample(
    module: Autoregressive,
    variables: PyTree,
    told: Told | None,
    keys: Key[Array, 'b'],
    *,
    pick: Pick = PLAIN,
    guidance: guide.Scale = 1.0,
    given: Int[Array, 'b m'] | None = None,
) -> Sampled:
    """Draws codes one after another, in one scan with a cache of what came before.

    guidance: u + g (c - u) on the logits, both in one call of twice the batch.
    given: the first m codes, which stay: the top of a picture to be completed.
    """
    length, batch = module.transformer.length, len(keys)
    given = jnp.zeros((batch, 0), int) if given is None else given
    start = given.shape[1]
    if start >= length:
        raise UserError(f'{start} codes are given of {length}: give fewer, the rest is drawn')
    told = guide.branches(told, guidance, module.transformer.num_classes)
    # A place has its noise whether or not codes before it are given.
    noise = uniform(keys, (length,)).T[start:]

    def picked(logits, noise):
        return draw(pick(guide.mixed(logits, guidance)), noise)

    def body(carry, inputs):
        code, cache = carry
        at, noise = inputs
        row = guide.rows(code[:, None], guidance)
        logits, cache = module.apply(variables, row, at, cache, method='extend')
        code = picked(logits[:, 0], noise)
        return (code, cache), code

    logits, cache = module.apply(variables, guide.rows(given, guidance), told, method='begin')
    first = picked(logits, noise[0])
    _, rest = jax.lax.scan(body, (first, cache), (jnp.arange(start, length - 1), noise[1:]))
    codes = jnp.concatenate([given, first[:, None], rest.T], axis=1)
    when = jnp.maximum(jnp.arange(1, length + 1) - start, 0)
    return Sampled(codes, jnp.broadcast_to(when, codes.shape))
