"""Fields of encoded positions: two small networks make density and color of the features."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.ops import sh
from jaxcv.radiance.fields.appearance import Appearance
from jaxcv.radiance.fields.field import Condition, Field, Radiance, activate
from jaxcv.radiance.fields.mlp import MLP


class DecodedField(Field):
    """What such fields share; each adds `encode`.

    widths        hidden layers of the first network, which makes `inner` numbers, the first of them
                  the density's
    color_widths  hidden layers of the second, which sees these and the spherical harmonics of the
                  direction up to `degree`
    images        how many photographs have a code of `code` numbers that the second sees too
    """

    widths: tuple[int, ...] = (64,)
    inner: int = 16
    color_widths: tuple[int, ...] = (64, 64)
    degree: int = 3
    images: int = 0
    code: int = 32
    activation: str = 'shifted_exponential'

    def setup(self):
        self.first = MLP(self.widths, self.inner)
        self.second = MLP(self.color_widths, 3)
        if self.images:
            self.appearance = Appearance(self.images, self.code)

    def __call__(
        self,
        positions: Float[Array, 'n 3'],
        directions: Float[Array, 'n 3'],
        condition: Condition | None = None,
    ) -> Radiance:
        inner = self.first(self.encode(positions, condition))
        parts = [inner, sh.basis(directions, self.degree)]
        if self.images:
            parts.append(self.appearance(condition, len(positions)))
        color = jax.nn.sigmoid(self.second(jnp.concatenate(parts, -1)))
        return Radiance(activate(inner[:, 0], self.activation), color)

    def density(
        self, positions: Float[Array, 'n 3'], condition: Condition | None = None
    ) -> Float[Array, 'n']:
        """Of the same places, without color."""
        return activate(self.first(self.encode(positions, condition))[:, 0], self.activation)

    def encode(
        self, positions: Float[Array, 'n 3'], condition: Condition | None
    ) -> Float[Array, 'n c']:
        """The features of places."""
        raise NotImplementedError
