"""The field of Instant-NGP: a hash grid and two small networks (Müller et al. 2022)."""

from flax import linen

from jaxcv.radiance.fields.decoded import DecodedField
from jaxcv.radiance.fields.hash import HashGrid, fading


class NGPField(DecodedField):
    """The first fields are those of `HashGrid`, the others those of `DecodedField`."""

    levels: int = 8
    rows: int = 2**19
    features: int = 4
    coarsest: int = 16
    growth: float = 2.0

    def setup(self):
        super().setup()
        self.grid = HashGrid(self.levels, self.rows, self.features, self.coarsest, self.growth)

    def encode(self, positions, condition):
        return self.grid(positions)

    @linen.nowrap
    def opened(self, params, share):
        """Of the hash grid: level by level."""
        weights, parts = fading(self.levels, share), params['params']
        grid = {f'level{i}': parts['grid'][f'level{i}'] * weights[i] for i in range(self.levels)}
        return {**params, 'params': {**parts, 'grid': grid}}
