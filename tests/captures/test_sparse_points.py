"""Sparse points as PLY."""

import numpy as np
import pytest

from jaxcv.data.captures import Points, ply
from jaxcv.errors import UserError

HEADER = """ply
format ascii 1.0
comment by hand
element vertex 2
property float x
property float y
property float z
property float confidence
property uchar red
property uchar green
property uchar blue
element face 1
property list uchar int vertex_indices
end_header
"""
ROWS = '1 2 3 0.5 255 128 0\n-1 0.25 125e-3 0.5 1 2 3\n3 0 1 1\n'


def test_text_by_hand(tmp_path):
    (tmp_path / 'a.ply').write_text(HEADER + ROWS)
    points = ply.read(tmp_path / 'a.ply')
    np.testing.assert_array_equal(points.xyz, [[1, 2, 3], [-1, 0.25, 0.125]])
    np.testing.assert_array_equal(points.rgb, [[255, 128, 0], [1, 2, 3]])
    assert (points.xyz.dtype, points.rgb.dtype) == (np.float64, np.uint8)


@pytest.mark.parametrize('order,name', [('<', 'little'), ('>', 'big')])
def test_binary_of_both_orders(tmp_path, order, name):
    header = HEADER.replace('ascii', f'binary_{name}_endian')
    kinds = [(name, f'{order}f4') for name in 'xyzc'] + [(name, 'u1') for name in 'rgb']
    rows = np.array([(1, 2, 3, 0, 255, 128, 0), (-1, 0.25, 7, 0, 1, 2, 3)], kinds)
    (tmp_path / 'a.ply').write_bytes(
        header.encode() + rows.tobytes() + b'\3' + np.array([0, 1, 1], f'{order}i4').tobytes()
    )
    points = ply.read(tmp_path / 'a.ply')
    np.testing.assert_array_equal(points.xyz, [[1, 2, 3], [-1, 0.25, 7]])
    np.testing.assert_array_equal(points.rgb, [[255, 128, 0], [1, 2, 3]])


def test_there_and_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    points = Points(rng.normal(size=(50, 3)), rng.integers(0, 256, (50, 3), np.uint8))
    ply.write(tmp_path / 'a.ply', points)
    for found, expected in zip(ply.read(tmp_path / 'a.ply'), points, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_points_without_color_are_black(tmp_path):
    header = HEADER.replace('red', 'a').replace('green', 'b').replace('blue', 'c')
    (tmp_path / 'a.ply').write_text(header + ROWS)
    assert not ply.read(tmp_path / 'a.ply').rgb.any()


@pytest.mark.parametrize(
    'old,new,message',
    [
        ('float x', 'float u', 'has no vertices with x, y and z'),
        ('element vertex', 'element edge', 'has no vertices with x, y and z'),
        ('uchar red', 'float red', 'must be uchar'),
        ('end_header', '', 'is no PLY file'),
        ('vertex 2', 'vertex 9', 'is truncated or damaged'),
    ],
)
def test_what_is_no_cloud_of_points_is_told(tmp_path, old, new, message):
    text = HEADER + ROWS
    assert old in text
    (tmp_path / 'a.ply').write_text(text.replace(old, new))
    with pytest.raises(UserError, match=f'a.ply .*{message}'):
        ply.read(tmp_path / 'a.ply')
