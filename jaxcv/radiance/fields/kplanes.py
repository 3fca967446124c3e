"""K-planes: space as 3 planes, space-time as 6, whose features are multiplied
(Fridovich-Keil et al. 2023)."""

from flax import linen

from jaxcv.radiance.fields.decoded import DecodedField
from jaxcv.radiance.fields.field import given
from jaxcv.radiance.fields.planes import Planes


class KPlanesField(DecodedField):
    """`Planes` at several scales of `cells`, and with `time_cells` > 0 those of time, for which the
    condition has a time."""

    cells: tuple[int, ...] = (64, 128, 256, 512)
    time_cells: int = 0
    features: int = 16

    def setup(self):
        super().setup()
        self.planes = Planes(self.cells, self.time_cells, self.features)
        linen.share_scope(self, self.planes)

    def encode(self, positions, condition):
        moves = self.time_cells > 0
        time = given(condition, 'time', 'a field of space and time') if moves else None
        return self.planes(positions, time)

    def penalties(self, key):
        return self.planes.penalties()
