"""Networks of sines, whose derivatives are such networks too (Sitzmann et al. 2020)."""

import math

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.nn import Dense
from jaxcv.radiance.fields.field import Condition, Field, Radiance, activate


def symmetric(bound: float):
    """An initializer: uniform from -bound to bound."""
    uniform = linen.initializers.uniform(2 * bound)
    return lambda key, shape, dtype=jnp.float32: uniform(key, shape, dtype) - bound


class Sine(linen.Module):
    """sin(frequency (W x + b)). With W uniform within sqrt(6 / n) / frequency the sine's argument
    has variance 1 whatever the depth; the `first` layer's W, within 1 / n, spreads coordinates over
    many periods instead (section 3.2)."""

    features: int
    frequency: float = 30.0
    first: bool = False

    @linen.compact
    def __call__(self, x: Float[Array, 'n c']) -> Float[Array, 'n features']:
        inputs = x.shape[-1]
        bound = 1 / inputs if self.first else math.sqrt(6 / inputs) / self.frequency
        dense = Dense(self.features, kernel_init=symmetric(bound), name='dense')
        return jnp.sin(self.frequency * dense(x))


class SirenField(Field):
    """`depth` layers of sines; the color has one more, which knows the direction."""

    depth: int = 5
    width: int = 256
    frequency: float = 30.0
    activation: str = 'softplus'

    def setup(self):
        self.trunk = [Sine(self.width, self.frequency, i == 0) for i in range(self.depth)]
        self.raw = self.linear(1)
        self.view = Sine(self.width, self.frequency)
        self.out = self.linear(3)

    def linear(self, features):
        bound = math.sqrt(6 / self.width) / self.frequency
        return Dense(features, kernel_init=symmetric(bound))

    def __call__(
        self,
        positions: Float[Array, 'n 3'],
        directions: Float[Array, 'n 3'],
        condition: Condition | None = None,
    ) -> Radiance:
        x = self.features(positions)
        density = activate(self.raw(x)[:, 0], self.activation)
        x = self.view(jnp.concatenate([x, directions], -1))
        return Radiance(density, jax.nn.sigmoid(self.out(x)))

    def density(
        self, positions: Float[Array, 'n 3'], condition: Condition | None = None
    ) -> Float[Array, 'n']:
        """Of the same places, without color."""
        return activate(self.raw(self.features(positions))[:, 0], self.activation)

    def features(self, positions):
        for sine in self.trunk:
            positions = sine(positions)
        return positions
