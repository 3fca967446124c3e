"""Fields of density and color: from positions and directions to what a ray gathers.

field      what every field takes and gives; activations of density
frequency, frustum, fourier   encodings of positions and of cones
grid       the lookup that hash grids, voxels and planes share
unbounded  fields of more than a box
decoded    what fields with a small network share
"""

from flax import linen

from jaxcv.errors import choose, construct
from jaxcv.radiance.fields.field import Condition, Field, Radiance
from jaxcv.radiance.fields.kplanes import KPlanesField
from jaxcv.radiance.fields.nerf import NeRFField
from jaxcv.radiance.fields.ngp import NGPField
from jaxcv.radiance.fields.siren import SirenField
from jaxcv.radiance.fields.triplane import TriPlaneField
from jaxcv.radiance.fields.unbounded import SPACES, UnboundedField
from jaxcv.radiance.fields.voxels import VoxelField

FIELDS = {
    'nerf': NeRFField,
    'siren': SirenField,
    'ngp': NGPField,
    'voxels': VoxelField,
    'triplane': TriPlaneField,
    'kplanes': KPlanesField,
}


def field(name: str = '', space: str = 'box', **fields) -> linen.Module:
    """By name, with the fields of its module; of the `space` 'box', or of 'ball' (all of it) or
    'frustum' (in front of the origin)."""
    choose(space, ('box', *SPACES), 'config.field.space')
    made = construct(FIELDS[choose(name, FIELDS, 'config.field.name')], fields, 'config.field')
    return made if space == 'box' else UnboundedField(made, space)


__all__ = [
    'FIELDS',
    'Condition',
    'Field',
    'KPlanesField',
    'NGPField',
    'NeRFField',
    'Radiance',
    'SirenField',
    'TriPlaneField',
    'UnboundedField',
    'VoxelField',
    'field',
]
