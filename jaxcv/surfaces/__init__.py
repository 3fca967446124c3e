"""Surfaces: meshes out of functions and depth pictures, into files, and how near they are to the
truth."""

from jaxcv.surfaces.comparison import Comparison, chamfer, compare, distances, nearest
from jaxcv.surfaces.files import FORMATS, write, write_glb, write_obj, write_ply
from jaxcv.surfaces.fusion import Volume, agreed, empty, fused, surface
from jaxcv.surfaces.isosurface import evaluated, extract, marching_cubes, sampled
from jaxcv.surfaces.mesh import (
    Mesh,
    Sample,
    areas,
    largest_component,
    sample,
    vertex_normals,
)

__all__ = [
    'FORMATS',
    'Comparison',
    'Mesh',
    'Sample',
    'Volume',
    'agreed',
    'areas',
    'chamfer',
    'compare',
    'distances',
    'empty',
    'evaluated',
    'extract',
    'fused',
    'largest_component',
    'marching_cubes',
    'nearest',
    'sample',
    'sampled',
    'surface',
    'vertex_normals',
    'write',
    'write_glb',
    'write_obj',
    'write_ply',
]
