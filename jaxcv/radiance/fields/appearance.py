"""One code per photograph (GLO): exposure and weather that the scene does not have to explain
(Martin-Brualla et al. 2021)."""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.ops.rows import take_rows
from jaxcv.radiance.fields.field import Condition


class Appearance(linen.Module):
    """A learned code of `width` numbers for each of `images` photographs; their mean where the
    condition names none, as in a new view."""

    images: int
    width: int

    @linen.compact
    def __call__(self, condition: Condition | None, count: int) -> Float[Array, 'n width']:
        init = linen.initializers.normal(0.1)
        codes = self.param('codes', init, (self.images, self.width))
        if condition is None or condition.image is None:
            return jnp.broadcast_to(codes.mean(0), (count, self.width))
        return take_rows(codes, condition.image)
