"""What a prior is told beside the codes, and how it becomes tokens before theirs."""

from typing import NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.errors import UserError

SCALE = 0.02
INIT = linen.initializers.normal(SCALE)


class Told(NamedTuple):
    """Every field may be absent, and is where the prior was built without it."""

    label: Int[Array, 'b'] | None = None  # a class; `num_classes` is the null class
    text: Int[Array, 'b t'] | None = None  # ids of `text`, padded with 0; all padding: the null


def null(told: Told, num_classes: int | None = None) -> Told:
    """What stands for nothing told, shaped like `told`: the other side of guidance."""
    if told.label is not None and num_classes is None:
        raise UserError('the null label is num_classes: give num_classes')
    label = None if told.label is None else jnp.full_like(told.label, num_classes)
    return Told(label, None if told.text is None else jnp.zeros_like(told.text))


def dropped(told: Told, keys: Key[Array, 'b'], rate: float, num_classes: int | None = None) -> Told:
    """Training for guidance: with probability `rate` a sample is told nothing."""
    drop = jax.vmap(lambda key: jax.random.bernoulli(key, rate))(keys)

    def either(nothing, something):
        return jnp.where(drop.reshape(-1, *(1,) * (something.ndim - 1)), nothing, something)

    return jax.tree.map(either, null(told, num_classes), told)


class Prefix(linen.Module):
    """The tokens of what is told: one for the label, or a learned one where there are no labels,
    then one for each place of the text."""

    width: int
    num_classes: int | None = None
    words: int | None = None  # size of the vocabulary of texts, padding included
    text_length: int = 0
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self, told: Told, batch: int
    ) -> tuple[Float[Array, 'b p d'], Bool[Array, 'b p'] | None]:
        """The tokens, and which are not padding (None: all)."""
        told = self.check(told)
        label = jnp.zeros(batch, int) if told.label is None else told.label
        rows = 1 if self.num_classes is None else self.num_classes + 1
        first = self.embed(rows, 'label')(label)[:, None]
        if told.text is None:
            return first, None
        text = self.embed(self.words, 'text')(told.text)
        shown = jnp.concatenate([jnp.ones((batch, 1), bool), told.text != 0], axis=1)
        return jnp.concatenate([first, text], axis=1), shown

    def embed(self, rows, name):
        return linen.Embed(rows, self.width, embedding_init=INIT, dtype=self.dtype, name=name)

    def check(self, told: Told | None) -> Told:
        """`told`, if it has exactly what the prior was built for."""
        told = Told() if told is None else Told(*told)
        for name, field in (('label', 'num_classes'), ('text', 'words')):
            given, built = getattr(told, name) is not None, getattr(self, field) is not None
            if given != built:
                raise UserError(
                    f'told.{name} is {"given" if given else "missing"}, but the prior was built '
                    f'{"with" if built else "without"} {field}'
                )
        if told.text is not None and told.text.shape[1] != self.text_length:
            raise UserError(
                f'texts of {told.text.shape[1]} ids, but the prior was built for text_length='
                f'{self.text_length}: encode them with that length'
            )
        return told
