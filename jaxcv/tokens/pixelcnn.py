"""Codes of a grid one after another by masked convolutions (gated PixelCNN, van den Oord et al.,
2016).

The masks are shifts: an image moved down by a row and convolved with rows above and at each place
has seen the rows above only. No kernel holds weights that are masked.
"""

from collections.abc import Callable

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.errors import UserError
from jaxcv.nn.conv import Conv
from jaxcv.nn.dense import Dense
from jaxcv.nn.regularize import Dropout
from jaxcv.tokens import guidance as guide
from jaxcv.tokens.pick import PLAIN, Pick, draw, nats, uniform
from jaxcv.tokens.sampled import Sampled
from jaxcv.tokens.told import INIT, Told


class PixelCNN(linen.Module):
    """p(code | class, codes before it row by row) for codes of an h x w grid.

    A vertical stack sees the rows above, without a blind spot; a horizontal stack sees the row to
    the left, and the vertical one at its place.
    """

    codes: int
    grid: tuple[int, int]
    width: int = 64
    depth: int = 8
    kernel: int = 3
    first_kernel: int = 7
    dropout: float = 0.0
    num_classes: int | None = None
    dtype: jnp.dtype | None = None

    def setup(self):
        fields = {'embedding_init': INIT, 'dtype': self.dtype}
        self.embed = linen.Embed(self.codes, self.width, **fields)
        if self.num_classes is not None:
            self.label = linen.Embed(self.num_classes + 1, self.width, **fields)
        sizes = [self.first_kernel] + [self.kernel] * (self.depth - 1)
        self.down = [Down(self.width, size, self.dtype) for size in sizes]
        self.along = [
            Along(self.width, size, i > 0, self.dropout, self.dtype) for i, size in enumerate(sizes)
        ]
        self.hidden = Dense(self.width, dtype=self.dtype)
        self.head = Dense(self.codes, kernel_init=INIT, dtype=self.dtype)

    def __call__(
        self,
        codes: Int[Array, 'b n'],
        told: Told | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b n k']:
        """Logits of every code from those before it. `keys` are there in training."""
        image = codes.reshape(-1, *self.grid)
        logits = self.across(image, self.above(image, told), told, keys)
        return logits.reshape(*codes.shape, -1)

    def above(
        self, codes: Int[Array, 'b h w'], told: Told | None = None
    ) -> list[Float[Array, 'b h w 2c']]:
        """What every layer of the horizontal stack is told of the rows above."""
        x = self.embed(codes)
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
        condition, found = self.condition(told), []
        for layer in self.down:
            x, aside = layer(x, condition)
            found.append(aside)
        return found

    def across(
        self,
        codes: Int[Array, 'b r w'],
        above: list[Float[Array, 'b r w 2c']],
        told: Told | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b r w k']:
        """Logits of some rows from the codes to the left and what is `above` them."""
        x = self.embed(codes)
        x = jnp.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
        condition = self.condition(told)
        for layer, aside in zip(self.along, above, strict=True):
            x = layer(x, aside, condition, keys)
        return self.head(jax.nn.relu(self.hidden(jax.nn.relu(x))))

    def condition(self, told):
        told = Told() if told is None else Told(*told)
        if (told.label is None) != (self.num_classes is None) or told.text is not None:
            raise UserError('a PixelCNN is told labels, if built with num_classes, and no texts')
        return None if told.label is None else self.label(told.label)[:, None, None]


class Down(linen.Module):
    """A layer of the vertical stack: the next x, and what the horizontal stack is told."""

    width: int
    kernel: int
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x, condition):
        half = self.kernel // 2
        padding = ((half, 0), (half, half))
        size = (half + 1, self.kernel)
        y = Conv(2 * self.width, size, padding=padding, dtype=self.dtype, name='conv')(x)
        aside = Dense(2 * self.width, dtype=self.dtype, name='aside')(y)
        return gated(y, condition, self.dtype), aside


class Along(linen.Module):
    """A layer of the horizontal stack; the first has no residual, as in the paper's image, where
    it must not see its own place, and here has nothing to keep."""

    width: int
    kernel: int
    residual: bool
    dropout: float = 0.0
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x, aside, condition, keys=None):
        half = self.kernel // 2
        padding = ((0, 0), (half, 0))
        size = (1, half + 1)
        y = Conv(2 * self.width, size, padding=padding, dtype=self.dtype, name='conv')(x)
        y = gated(y + aside, condition, self.dtype)
        y = Dropout(self.dropout, name='dropout')(y, keys)
        y = Dense(self.width, dtype=self.dtype, name='out')(y)
        return x + y if self.residual else y


def gated(y, condition, dtype):
    """tanh(a) sigmoid(b), where [a, b] is y plus a layer of the condition."""
    if condition is not None:
        y = y + Dense(y.shape[-1], use_bias=False, dtype=dtype, name='condition')(condition)
    a, b = jnp.split(y, 2, axis=-1)
    return jnp.tanh(a) * jax.nn.sigmoid(b)


def loss(
    apply: Callable[..., Float[Array, 'b n k']],
    codes: Int[Array, 'b n'],
    told: Told | None,
    keys: Key[Array, 'b'] | None = None,
) -> Float[Array, 'b']:
    """Nats per code."""
    return nats(apply(codes, told, keys), codes).mean(-1)


def sample(
    module: PixelCNN,
    variables: PyTree,
    told: Told | None,
    keys: Key[Array, 'b'],
    *,
    pick: Pick = PLAIN,
    guidance: guide.Scale = 1.0,
    given: Int[Array, 'b m'] | None = None,
) -> Sampled:
    """Draws codes row by row: the vertical stack runs once a row, the horizontal stack on the one
    row for each of its codes. The first m codes may be given."""
    (h, w), batch = module.grid, len(keys)
    start = 0 if given is None else given.shape[1]
    codes = jnp.zeros((batch, h * w), int)
    if given is not None:
        codes = codes.at[:, :start].set(given)
    told = guide.branches(told, guidance, module.num_classes)
    noise = uniform(keys, (h, w))

    def row(image, at):
        above = module.apply(variables, guide.rows(image, guidance), told, method='above')
        above = [jax.lax.dynamic_slice_in_dim(x, at, 1, axis=1) for x in above]

        def place(line, column):
            rows = guide.rows(line[:, None], guidance)
            logits = module.apply(variables, rows, above, told, method='across')
            logits = pick(guide.mixed(logits[:, 0, column], guidance))
            code = draw(logits, noise[:, at, column])
            kept = jnp.where(at * w + column < start, line[:, column], code)
            return line.at[:, column].set(kept), None

        line, _ = jax.lax.scan(place, image[:, at], jnp.arange(w))
        return image.at[:, at].set(line), None

    image, _ = jax.lax.scan(row, codes.reshape(batch, h, w), jnp.arange(h))
    when = jnp.maximum(jnp.arange(1, h * w + 1) - start, 0)
    codes = image.reshape(batch, h * w)
    return Sampled(codes, jnp.broadcast_to(when, codes.shape))
