"""All codes in a few steps, the surest first (MaskGIT, Chang et al., 2022)."""

from collections.abc import Callable

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from jaxcv.errors import UserError
from jaxcv.nn.dense import Dense
from jaxcv.tokens import guidance as guide
from jaxcv.tokens import schedule as schedules
from jaxcv.tokens.pick import PLAIN, Pick, draw, nats, uniform
from jaxcv.tokens.sampled import Sampled
from jaxcv.tokens.told import INIT, Told
from jaxcv.tokens.transformer import Transformer


class MaskGIT(linen.Module):
    """Logits of every code from those that are known."""

    codes: int
    transformer: Transformer

    @linen.compact
    def __call__(
        self,
        codes: Int[Array, 'b n'],
        known: Bool[Array, 'b n'],
        told: Told | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b n k']:
        """Codes that are not known do not matter. `keys` are there in training."""
        width, dtype = self.transformer.width, self.transformer.dtype
        embed = linen.Embed(self.codes, width, embedding_init=INIT, dtype=dtype, name='embed')
        mask = self.param('mask', INIT, (width,))
        shown = jnp.where(known[..., None], embed(codes), mask.astype(dtype or mask.dtype))
        y = self.transformer(shown, told, None, keys)[:, self.transformer.prefix :]
        return Dense(self.codes, kernel_init=INIT, dtype=dtype, name='head')(y)


def hidden(keys: Key[Array, 'b'], length: int, schedule: str = 'cosine') -> Bool[Array, 'b n']:
    """ceil(length unknown(r)) random places, r uniform in [0, 1); at least one."""
    noise = uniform(keys, (length + 1,))
    count = jnp.ceil(length * schedules.unknown(schedule, noise[:, -1]))
    return ranks(noise[:, :-1]) < jnp.maximum(count, 1)[:, None]


def loss(
    apply: Callable[..., Float[Array, 'b n k']],
    codes: Int[Array, 'b n'],
    told: Told | None,
    keys: Key[Array, 'b'],
    *,
    schedule: str = 'cosine',
    smoothing: float = 0.0,
    train: bool = True,
) -> Float[Array, 'b']:
    """Nats per code that is hidden, from those that are not. With schedule='linear' the mean is
    the bound on the nats per code of an order-agnostic model (Hoogeboom et al., 2022).

    smoothing: the part of the target that is spread over all codes; 0.1 in the paper.
    train: False leaves out dropout.
    """
    own, others = (jax.vmap(lambda key, i=i: jax.random.fold_in(key, i))(keys) for i in (0, 1))
    places = hidden(own, codes.shape[1], schedule)
    logits = apply(codes, ~places, told, others if train else None).astype(jnp.float32)
    found = nats(logits, codes)
    if smoothing:
        even = jax.nn.logsumexp(logits, axis=-1) - logits.mean(-1)
        found = (1 - smoothing) * found + smoothing * even
    return jnp.where(places, found, 0.0).sum(-1) / places.sum(-1)


def sample(
    module: MaskGIT,
    variables: PyTree,
    told: Told | None,
    keys: Key[Array, 'b'],
    *,
    steps: int = 8,
    schedule: str = 'cosine',
    pick: Pick = PLAIN,
    noise: float = 4.5,
    guidance: guide.Scale = 1.0,
    ramped: bool = False,
    given: Int[Array, 'b n'] | None = None,
    known: Bool[Array, 'b n'] | None = None,
    order: Int[Array, 'n'] | None = None,
) -> Sampled:
    """Draws all unknown codes at every step, keeps some for good, and masks the others again.

    What is kept has the highest confidence, log p + noise (1 - r) Gumbel with r = (step + 1) /
    steps; how many is `schedule.left`. The codes drawn last are returned: they contain no mask.

    given, known: codes [b n] and where they hold; they never change. What is inside, outside or
    of another class is edited by what is known and told.
    order: the place of each code in a fixed order to keep them in, as `halton.order` makes it,
    instead of confidence.
    guidance: u + g (c - u) on the logits; `ramped`: g rises from 1 at the first step.
    """
    length, batch = module.transformer.length, len(keys)
    schedules.check(steps, length)
    if (given is None) != (known is None):
        raise UserError('given are codes and known is where they hold: give both or neither')
    if known is None:
        given, known = jnp.zeros((batch, length), int), jnp.zeros((batch, length), bool)
    told = guide.branches(told, guidance, module.transformer.num_classes)
    scales = guide.ramp(guidance, steps) if ramped else jnp.full(steps, guidance)
    start = (~known).sum(-1)
    uniforms = jnp.moveaxis(uniform(keys, (steps, 2, length)), 0, 2)

    def body(carry, inputs):
        codes, known, when = carry
        step, scale, (first, second) = inputs
        logits = module.apply(
            variables, guide.rows(codes, guidance), guide.rows(known, guidance), told
        )
        logits = guide.mixed(logits, guidance, scale)
        codes = jnp.where(known, codes, draw(pick(logits), first))
        if order is None:
            spread = noise * (1 - (step + 1) / steps)
            confidence = -nats(logits, codes) + spread * gumbel(second)
        else:
            confidence = jnp.broadcast_to(-order.astype(jnp.float32), codes.shape)
        confidence = jnp.where(known, jnp.inf, confidence)
        left = schedules.left(schedule, step, steps, start, (~known).sum(-1))
        now = (ranks(confidence) >= left[:, None]) | (step == steps - 1)
        when = jnp.where(now & ~known, step + 1, when)
        return (codes, now, when), None

    inputs = jnp.arange(steps), scales, uniforms
    carry = given, known, jnp.zeros((batch, length), int)
    (codes, _, when), _ = jax.lax.scan(body, carry, inputs)
    return Sampled(codes, when)


def ranks(x: Float[Array, 'b n']) -> Int[Array, 'b n']:
    """The place of each number in its row sorted upwards; equals in the order of the row."""
    return jnp.argsort(jnp.argsort(x, axis=-1), axis=-1)


def gumbel(noise: Float[Array, '*s']) -> Float[Array, '*s']:
    """From noise uniform in [0, 1)."""
    tiny = jnp.finfo(jnp.float32).tiny
    return -jnp.log(-jnp.log(jnp.maximum(noise, tiny)))
