"""Three planes whose features are summed (Chan et al. 2022)."""

from flax import linen

from jaxcv.radiance.fields.decoded import DecodedField
from jaxcv.radiance.fields.planes import SPACE, plane_variation, project


class TriPlaneField(DecodedField):
    """Planes xy, xz and yz of `cells`^2 cells: parameters `plane01`, `plane02`, `plane12`."""

    cells: int = 256
    features: int = 32

    def setup(self):
        super().setup()
        init, shape = linen.initializers.normal(0.1), (self.cells + 1, self.cells + 1)
        self.planes = [self.param(f'plane{a}{b}', init, (*shape, self.features)) for a, b in SPACE]

    def encode(self, positions, condition):
        pairs = zip(self.planes, SPACE, strict=True)
        return sum(project(plane, positions, axes) for plane, axes in pairs)

    def penalties(self, key):
        return {'variation': sum(map(plane_variation, self.planes))}
