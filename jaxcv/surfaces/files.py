"""Meshes as PLY, OBJ and GLB (binary glTF 2.0) files. Axes stay as they are."""

import json
import struct
from pathlib import Path

import numpy as np

from jaxcv.errors import choose
from jaxcv.interop import ply
from jaxcv.surfaces.mesh import Mesh

FLOAT, UINT = 5126, 5125  # glTF's types of numbers
VERTICES, INDICES = 34962, 34963  # glTF's kinds of buffers
FORMATS = ('.ply', '.obj', '.glb')


def write(path: str | Path, mesh: Mesh) -> None:
    """Writes a mesh in the format that the suffix names: .ply, .obj or .glb."""
    writers = dict(zip(FORMATS, (write_ply, write_obj, write_glb), strict=True))
    writers[choose(Path(path).suffix.lower(), FORMATS, f'the suffix of {path}')](path, mesh)


def write_ply(path: str | Path, mesh: Mesh) -> None:
    """Colors as bytes."""
    columns = {name: mesh.vertices[:, i] for i, name in enumerate(('x', 'y', 'z'))}
    if mesh.normals is not None:
        columns |= {name: mesh.normals[:, i] for i, name in enumerate(('nx', 'ny', 'nz'))}
    layout = [(name, 'f4') for name in columns]
    if mesh.colors is not None:
        colors = _bytes(mesh.colors)
        columns |= {name: colors[:, i] for i, name in enumerate(('red', 'green', 'blue'))}
        layout += [(name, 'u1') for name in ('red', 'green', 'blue')]
    vertices = np.empty(len(mesh.vertices), layout)
    for name, column in columns.items():
        vertices[name] = column
    faces = np.empty(len(mesh.faces), [('vertex_indices', 'i4', (3,))])
    faces['vertex_indices'] = mesh.faces
    ply.write(path, {'vertex': vertices, 'face': faces})


def write_obj(path: str | Path, mesh: Mesh) -> None:
    """Colors behind the coordinates, which many programs read though the format has none."""
    vertices = np.asarray(mesh.vertices)
    if mesh.colors is not None:
        vertices = np.concatenate([vertices, mesh.colors], 1)
    faces = np.asarray(mesh.faces) + 1
    with open(path, 'w') as file:
        np.savetxt(file, vertices, 'v' + vertices.shape[1] * ' %.7g')
        if mesh.normals is None:
            np.savetxt(file, faces, 'f %d %d %d')
        else:
            np.savetxt(file, mesh.normals, 'vn %.5g %.5g %.5g')
            np.savetxt(file, np.repeat(faces, 2, 1), 'f %d//%d %d//%d %d//%d')


def write_glb(path: str | Path, mesh: Mesh) -> None:
    """One mesh in one file. Vertex colors are stored linear, as the format wants them, and shown
    without lights: a reconstruction's colors have them in."""
    vertices = np.asarray(mesh.vertices, '<f4')
    parts = [(np.asarray(mesh.faces, '<u4').reshape(-1), INDICES), (vertices, VERTICES)]
    attributes = {'POSITION': 1}
    primitive = {'attributes': attributes, 'indices': 0}
    asset = {'asset': {'version': '2.0', 'generator': 'jaxcv'}}
    if mesh.normals is not None:
        attributes['NORMAL'] = len(parts)
        parts.append((np.asarray(mesh.normals, '<f4'), VERTICES))
    if mesh.colors is not None:
        attributes['COLOR_0'] = len(parts)
        parts.append((_linear(np.asarray(mesh.colors)).astype('<f4'), VERTICES))
        primitive['material'] = 0
        asset['materials'] = [{'extensions': {'KHR_materials_unlit': {}}}]
        asset['extensionsUsed'] = ['KHR_materials_unlit']
    views, accessors, start = [], [], 0
    for i, (part, target) in enumerate(parts):
        view = {'buffer': 0, 'byteOffset': start, 'byteLength': part.nbytes, 'target': target}
        views.append(view)
        kind, shape = (UINT, 'SCALAR') if target == INDICES else (FLOAT, 'VEC3')
        accessors.append(
            {'bufferView': i, 'componentType': kind, 'count': len(part), 'type': shape}
        )
        start += part.nbytes
    accessors[1] |= {'min': vertices.min(0).tolist(), 'max': vertices.max(0).tolist()}
    asset |= {
        'scene': 0,
        'scenes': [{'nodes': [0]}],
        'nodes': [{'mesh': 0}],
        'meshes': [{'primitives': [primitive]}],
        'buffers': [{'byteLength': start}],
        'bufferViews': views,
        'accessors': accessors,
    }
    text = json.dumps(asset, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 4)
    body = b''.join(part.tobytes() for part, _ in parts)
    with open(path, 'wb') as file:
        file.write(struct.pack('<4sII', b'glTF', 2, 12 + 8 + len(text) + 8 + len(body)))
        file.write(struct.pack('<I4s', len(text), b'JSON') + text)
        file.write(struct.pack('<I4s', len(body), b'BIN\0') + body)


def _bytes(colors):
    return np.rint(255 * np.clip(colors, 0, 1)).astype(np.uint8)


def _linear(colors):
    """From sRGB (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
