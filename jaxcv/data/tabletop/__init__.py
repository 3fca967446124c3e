"""Small three-dimensional worlds whose surface is known exactly: solids given by their signed
distance, textured, lit by a sun and the sky, and looked at from around them.

The world is right-handed with z up; objects live inside [-1, 1]^3, lengths have no unit.
"""

from jaxcv.data.tabletop.arrange import desk, scene
from jaxcv.data.tabletop.light import LIGHT, Light
from jaxcv.data.tabletop.materials import Material, material
from jaxcv.data.tabletop.rendering import View, render
from jaxcv.data.tabletop.solid import Solid
from jaxcv.data.tabletop.storage import cameras, stored
from jaxcv.data.tabletop.surface import surface_points
from jaxcv.data.tabletop.tracing import Hit, trace
from jaxcv.data.tabletop.views import fibonacci, orbit, scattered
from jaxcv.data.tabletop.world import Scene, assembled, bounds, distance, moved, normals, placed

__all__ = [
    'LIGHT',
    'Hit',
    'Light',
    'Material',
    'Scene',
    'Solid',
    'View',
    'assembled',
    'bounds',
    'cameras',
    'desk',
    'distance',
    'fibonacci',
    'material',
    'moved',
    'normals',
    'orbit',
    'placed',
    'render',
    'scattered',
    'scene',
    'stored',
    'surface_points',
    'trace',
]
