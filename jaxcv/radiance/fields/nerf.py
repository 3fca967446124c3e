"""The network of NeRF (Mildenhall et al. 2020, fig. 7), of mip-NeRF, or of random features."""

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import choose
from jaxcv.nn import Dense
from jaxcv.radiance.fields.appearance import Appearance
from jaxcv.radiance.fields.field import Condition, Field, Radiance, activate, given
from jaxcv.radiance.fields.fourier import fourier, frequencies
from jaxcv.radiance.fields.frequency import frequency

ENCODINGS = ('frequency', 'integrated', 'fourier')


class NeRFField(Field):
    """`depth` layers of `width`, the encoded position again before layer `skip`, and one layer of
    `view_width` that knows the direction.

    encoding: 'frequency' (NeRF), 'integrated' (mip-NeRF: the condition has a variance) or 'fourier'
      (`octaves` * 3 random frequencies of standard deviation `scale`)."""

    depth: int = 8
    width: int = 256
    skip: int = 5
    view_width: int = 128
    encoding: str = 'frequency'
    octaves: int = 10
    view_octaves: int = 4
    scale: float = 4.0
    images: int = 0
    code: int = 32
    activation: str = 'shifted_softplus'

    def setup(self):
        self.trunk = [layer(self.width) for _ in range(self.depth)]
        self.raw = layer(1)
        self.bottleneck = layer(self.width)
        self.view = layer(self.view_width)
        self.out = layer(3)
        if self.images:
            self.appearance = Appearance(self.images, self.code)

    def __call__(
        self,
        positions: Float[Array, 'n 3'],
        directions: Float[Array, 'n 3'],
        condition: Condition | None = None,
    ) -> Radiance:
        x = self.features(positions, condition)
        density = activate(self.raw(x)[:, 0], self.activation)
        parts = [self.bottleneck(x), directions, frequency(directions, self.view_octaves)]
        if self.images:
            parts.append(self.appearance(condition, len(x)))
        x = jax.nn.relu(self.view(jnp.concatenate(parts, -1)))
        return Radiance(density, jax.nn.sigmoid(self.out(x)))

    def density(
        self, positions: Float[Array, 'n 3'], condition: Condition | None = None
    ) -> Float[Array, 'n']:
        """Of the same places, without color."""
        return activate(self.raw(self.features(positions, condition))[:, 0], self.activation)

    def features(self, positions, condition):
        encoded = self.encode(positions, condition)
        x = encoded
        for i, dense in enumerate(self.trunk):
            if i == self.skip:
                x = jnp.concatenate([x, encoded], -1)
            x = jax.nn.relu(dense(x))
        return x

    def encode(self, positions, condition):
        kind = choose(self.encoding, ENCODINGS, 'the encoding')
        if kind == 'integrated':
            variance = given(condition, 'variance', 'an integrated encoding')
            return frequency(positions, self.octaves, variance)
        if kind == 'fourier':
            return fourier(positions, frequencies(3, 3 * self.octaves, self.scale))
        return jnp.concatenate([positions, frequency(positions, self.octaves)], -1)


def layer(width):
    return Dense(width, kernel_init=linen.initializers.glorot_uniform())
