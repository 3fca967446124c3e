"""What a network is told beside the noisy image, and how it becomes one vector per sample."""

from typing import NamedTuple

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.diffusion.networks.time import Perceptron, sinusoidal
from jaxcv.errors import UserError

SMALL = linen.initializers.normal(0.02)


class Condition(NamedTuple):
    """Every field may be absent. A network refuses what it has no place for, and asks for what it
    was built with."""

    label: Int[Array, 'b'] | None = None  # a class; `num_classes` is the null class
    tokens: Float[Array, 'b n d'] | None = None  # what to attend to, e.g. an encoded text
    mask: Bool[Array, 'b n'] | None = None  # True for tokens that count; absent: all
    vector: Float[Array, 'b e'] | None = None  # embedded and added to time, e.g. a pooled text
    image: Float[Array, 'b h w k'] | None = None  # joined to x along channels, e.g. for inpainting


class Embedding(linen.Module):
    """What is told, one vector [b features] each: mlp(sinusoids of time), then the label's row of a
    table, then mlp(vector), as far as the network has them.

    The table has a row for each class and, with `null_class`, a last one, number `num_classes`,
    that stands for no class (classifier-free guidance).
    """

    features: int
    inputs: int  # number of sinusoids
    num_classes: int | None = None
    null_class: bool = True
    vector: bool = False
    cosine_first: bool = True
    shift: float = 0.0
    kernel_init: linen.initializers.Initializer = linen.initializers.lecun_normal()
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self, time: Float[Array, 'b'], condition: Condition
    ) -> list[Float[Array, 'b features']]:
        waves = sinusoidal(time, self.inputs, cosine_first=self.cosine_first, shift=self.shift)
        vectors = [self.perceptron('time')(waves.astype(self.dtype or waves.dtype))]
        if self.num_classes is not None:
            rows = self.num_classes + self.null_class
            table = linen.Embed(
                rows, self.features, embedding_init=SMALL, dtype=self.dtype, name='label'
            )
            vectors.append(table(condition.label))
        if self.vector:
            vectors.append(self.perceptron('vector')(condition.vector))
        return vectors

    def perceptron(self, name):
        return Perceptron(self.features, self.kernel_init, self.dtype, name=name)


def check(condition: Condition | None, label: bool, tokens: bool, vector: bool) -> Condition:
    """`condition`, if it has exactly what the network was built for."""
    condition = Condition() if condition is None else Condition(*condition)
    built = {
        'label': (label, 'num_classes'),
        'tokens': (tokens, 'cross-attention'),
        'vector': (vector, 'vector=True'),
    }
    for name, (expected, field) in built.items():
        given = getattr(condition, name) is not None
        if given and not expected:
            raise UserError(f'condition.{name} is given, but the network was built without {field}')
        if expected and not given:
            raise UserError(f'the network was built with {field} and needs condition.{name}')
    return condition


def joined(x: Float[Array, 'b h w c'], condition: Condition) -> Float[Array, 'b h w d']:
    """x with the channels of `condition.image`, if there is one."""
    if condition.image is None:
        return x
    return jnp.concatenate([x, condition.image.astype(x.dtype)], axis=-1)
