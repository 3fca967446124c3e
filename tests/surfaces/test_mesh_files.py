"""Meshes in files: bytes by hand, other programs' readers."""

import json
import struct

import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.interop import ply
from jaxcv.surfaces import Mesh, write

RNG = np.random.default_rng(0)
NORMALS = RNG.normal(size=(5, 3)).astype('f')
MESH = Mesh(
    RNG.normal(size=(5, 3)).astype('f'),
    np.array([[0, 1, 2], [2, 3, 4], [4, 3, 0]], np.int32),
    RNG.uniform(size=(5, 3)).astype('f'),
    NORMALS / np.linalg.norm(NORMALS, axis=1, keepdims=True),
)
BARE = Mesh(MESH.vertices, MESH.faces)


def linear(colors):
    """From sRGB, by the standard's two pieces."""
    dark = colors <= 0.04045
    return np.where(dark, colors / 12.92, np.power((colors + 0.055) / 1.055, 2.4))


@pytest.mark.parametrize('mesh', [MESH, BARE])
def test_ply(tmp_path, mesh):
    write(tmp_path / 'x.ply', mesh)
    found = ply.read(tmp_path / 'x.ply')
    vertex = found['vertex']
    np.testing.assert_array_equal(np.stack([vertex[n] for n in ('x', 'y', 'z')], 1), mesh.vertices)
    np.testing.assert_array_equal(found['face']['vertex_indices'], mesh.faces)
    if mesh is BARE:
        assert vertex.dtype.names == ('x', 'y', 'z')
        return
    colors = np.stack([vertex[n] for n in ('red', 'green', 'blue')], 1)
    assert colors.dtype == np.uint8
    np.testing.assert_allclose(colors / 255, mesh.colors, atol=0.501 / 255)
    np.testing.assert_array_equal(
        np.stack([vertex[n] for n in ('nx', 'ny', 'nz')], 1), mesh.normals
    )


def test_obj(tmp_path):
    write(tmp_path / 'x.obj', MESH)
    lines = [line.split() for line in (tmp_path / 'x.obj').read_text().splitlines()]
    numbers = {kind: [line[1:] for line in lines if line[0] == kind] for kind in ('v', 'vn', 'f')}
    vertices = np.float64(numbers['v'])
    np.testing.assert_allclose(vertices, np.concatenate([MESH.vertices, MESH.colors], 1), rtol=1e-6)
    np.testing.assert_allclose(np.float64(numbers['vn']), MESH.normals, atol=1e-5)
    assert numbers['f'][1] == ['3//3', '4//4', '5//5']
    write(tmp_path / 'y.obj', BARE)
    text = (tmp_path / 'y.obj').read_text().splitlines()
    assert len(text) == 8 and text[-1] == 'f 5 4 1' and len(text[0].split()) == 4


@pytest.mark.parametrize('mesh', [MESH, BARE])
def test_glb_by_hand(tmp_path, mesh):
    write(tmp_path / 'x.glb', mesh)
    data = (tmp_path / 'x.glb').read_bytes()
    magic, version, length, text_length, text_kind = struct.unpack_from('<4sII I4s', data)
    assert (magic, version, length, text_kind) == (b'glTF', 2, len(data), b'JSON')
    asset = json.loads(data[20 : 20 + text_length])
    body_length, body_kind = struct.unpack_from('<I4s', data, 20 + text_length)
    body = data[28 + text_length :]
    assert body_kind == b'BIN\0' and len(body) == body_length == asset['buffers'][0]['byteLength']
    assert text_length % 4 == body_length % 4 == 0

    def values(accessor):
        accessor = asset['accessors'][accessor]
        view = asset['bufferViews'][accessor['bufferView']]
        dtype = {5126: '<f4', 5125: '<u4'}[accessor['componentType']]
        part = np.frombuffer(body[view['byteOffset'] :][: view['byteLength']], dtype)
        assert view['byteOffset'] % 4 == 0
        width = {'SCALAR': 1, 'VEC3': 3}[accessor['type']]
        assert len(part) == accessor['count'] * width
        return part.reshape(-1, width)

    (primitive,) = asset['meshes'][0]['primitives']
    np.testing.assert_array_equal(values(primitive['indices']).reshape(-1, 3), mesh.faces)
    attributes = primitive['attributes']
    np.testing.assert_array_equal(values(attributes['POSITION']), mesh.vertices)
    bounds = asset['accessors'][attributes['POSITION']]
    np.testing.assert_allclose(bounds['min'], mesh.vertices.min(0))
    np.testing.assert_allclose(bounds['max'], mesh.vertices.max(0))
    if mesh is BARE:
        assert list(attributes) == ['POSITION'] and 'materials' not in asset
        return
    np.testing.assert_array_equal(values(attributes['NORMAL']), mesh.normals)
    np.testing.assert_allclose(values(attributes['COLOR_0']), linear(mesh.colors), rtol=1e-5)
    assert 'KHR_materials_unlit' in asset['materials'][primitive['material']]['extensions']


def test_unknown_suffix(tmp_path):
    with pytest.raises(UserError, match=r"'\.stl', but must be one of \.glb, \.obj, \.ply"):
        write(tmp_path / 'x.stl', MESH)


@pytest.mark.oracles
@pytest.mark.parametrize('suffix', ['ply', 'obj', 'glb'])
@pytest.mark.parametrize('mesh', [MESH, BARE])
def test_against_trimesh(tmp_path, suffix, mesh):
    trimesh = pytest.importorskip('trimesh')
    path = tmp_path / f'x.{suffix}'
    write(path, mesh)
    # trimesh reads no colors beside a material.
    path.write_bytes(path.read_bytes().replace(b',"material":0', b' ' * 13))
    found = trimesh.load(path, process=False, force='mesh', maintain_order=True)
    np.testing.assert_allclose(found.vertices, mesh.vertices, rtol=1e-6)
    np.testing.assert_array_equal(found.faces, mesh.faces)
    if mesh is MESH:
        colors = linear(mesh.colors) if suffix == 'glb' else mesh.colors
        shown = np.asarray(found.visual.vertex_colors)[:, :3] / 255
        np.testing.assert_allclose(shown, colors, atol=1.01 / 255)
