"""The field of Instant-NGP: a hash grid and two small networks (Müller et al. 2022)."""

from jaxcv.radiance.fields.decoded import DecodedField
from jaxcv.radiance.fields.hash import HashGrid


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
