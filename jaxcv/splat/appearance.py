"""How photographs differ that show one scene: exposure, white balance and haze, as an affine change
of colors for each."""

from jax import numpy as jnp
from jaxtyping import Array, Float


def same(count: int) -> Float[Array, 'count 3 4']:
    """Of so many photographs, no change: [A | b] is what a color c is changed by, to
    c + A c + b."""
    return jnp.zeros((count, 3, 4))


def changed(
    color: Float[Array, 'b h w 3'], alpha: Float[Array, 'b h w'], change: Float[Array, 'b 3 4']
) -> Float[Array, 'b h w 3']:
    """Colors that are already multiplied by their opacity: what is behind them stays."""
    # Sums rather than products of matrices, which would be tiny.
    parts = [color[..., i, None] * change[:, None, None, :, i] for i in range(3)]
    return color + sum(parts) + alpha[..., None] * change[:, None, None, :, 3]


def size(change: Float[Array, 'n 3 4']) -> Float[Array, '']:
    """Mean square over photographs: kept small, none of them need be changed that can be left as
    it is, and all together do not stray from the scene."""
    return jnp.square(change).sum((1, 2)).mean()
