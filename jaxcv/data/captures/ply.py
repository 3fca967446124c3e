"""Sparse points as PLY."""

from pathlib import Path

import numpy as np

from jaxcv.data.captures.capture import Points
from jaxcv.errors import UserError
from jaxcv.interop import ply

COLORS = ('red', 'green', 'blue')
VERTEX = [(name, 'f8') for name in 'xyz'] + [(name, 'u1') for name in COLORS]


def read(path: str | Path) -> Points:
    """The vertices of a file, whatever else they have; black where they have no color."""
    vertices = ply.read(path).get('vertex')
    names = () if vertices is None else vertices.dtype.names or ()
    if not {*'xyz'} <= {*names}:
        raise UserError(f'{path} has no vertices with x, y and z')
    xyz = np.stack([vertices[name] for name in 'xyz'], axis=1).astype(np.float64)
    if not {*COLORS} <= {*names}:
        return Points(xyz, np.zeros((len(xyz), 3), np.uint8))
    rgb = np.stack([vertices[name] for name in COLORS], axis=1)
    if rgb.dtype != np.uint8:
        raise UserError(f'{path} has colors of type {rgb.dtype}, but they must be uchar')
    return Points(xyz, rgb)


def write(path: str | Path, points: Points) -> None:
    """Double precision, so that `read` gives back the same bits."""
    vertices = np.empty(len(points.xyz), VERTEX)
    for i in range(3):
        vertices['xyz'[i]], vertices[COLORS[i]] = points.xyz[:, i], points.rgb[:, i]
    ply.write(path, {'vertex': vertices})
