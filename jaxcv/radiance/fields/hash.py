"""Multi-resolution hash grids (Müller et al. 2022)."""

import math

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.radiance.fields.grid import interpolate, nodes


class HashGrid(linen.Module):
    """Features of positions in [-1, 1]^3 from grids of coarsest * growth^level cells along each
    axis. Each has a table of at most `rows` rows, a power of two: dense where it fits."""

    levels: int = 8
    rows: int = 2**19
    features: int = 4  # of a level
    coarsest: int = 16
    growth: float = 2.0

    def cells(self) -> list[int]:
        """Along each axis, of every level."""
        # The product of a growth that was computed as a root may fall short of a whole number.
        return [math.floor(self.coarsest * self.growth**i + 1e-6) for i in range(self.levels)]

    @linen.compact
    def __call__(self, positions: Float[Array, 'n 3']) -> Float[Array, 'n levels*features']:
        found = []
        for i, count in enumerate(self.cells()):
            cells = (count,) * 3
            shape = min(nodes(cells), self.rows), self.features
            table = self.param(f'level{i}', small, shape)
            found.append(interpolate(table, positions, cells))
        return jnp.concatenate(found, -1)


def fading(levels: int, share: float | Float[Array, '']) -> Float[Array, 'levels']:
    """Weights that let levels in one after another, as `share` goes from 0, where there is but the
    coarsest, to 1 (Lin et al. 2021, eq. 14)."""
    passed = jnp.clip(share * (levels - 1) + 1 - jnp.arange(levels), 0, 1)
    return (1 - jnp.cos(jnp.pi * passed)) / 2


def small(key, shape, dtype=jnp.float32):
    """Uniform within 1e-4 of 0 (section 4)."""
    return linen.initializers.uniform(2e-4)(key, shape, dtype) - 1e-4
