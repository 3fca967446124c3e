"""PLY files: both byte orders and ascii, lists of even and uneven lengths, damaged ones, and other
programs' readers and writers."""

import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.interop import ply

RNG = np.random.default_rng(0)


def mesh():
    vertex = np.zeros(5, [('x', 'f4'), ('y', 'f8'), ('z', 'f4'), ('red', 'u1'), ('tag', 'i2')])
    for name in ('x', 'y', 'z'):
        vertex[name] = RNG.normal(size=5)
    vertex['red'], vertex['tag'] = [0, 1, 127, 128, 255], [-32768, -1, 0, 1, 32767]
    face = np.zeros(3, [('vertex_indices', 'i4', (3,)), ('quality', 'f4')])
    face['vertex_indices'], face['quality'] = RNG.integers(0, 5, (3, 3)), [0.5, -1e-30, 3e30]
    return {'vertex': vertex, 'face': face}


def same(found, expected):
    assert list(found) == list(expected)
    for name, rows in expected.items():
        assert found[name].dtype == rows.dtype
        np.testing.assert_array_equal(found[name], rows)


@pytest.fixture
def written(tmp_path):
    def write(*lines, body=b''):
        path = tmp_path / 'x.ply'
        path.write_bytes('\n'.join(['ply', *lines, 'end_header', '']).encode() + body)
        return path

    return write


def message(path):
    with pytest.raises(UserError) as caught:
        ply.read(path)
    return str(caught.value)


def test_written_and_read_again(tmp_path):
    ply.write(tmp_path / 'x.ply', mesh_ := mesh())
    same(ply.read(tmp_path / 'x.ply'), mesh_)
    assert (
        (tmp_path / 'x.ply')
        .read_bytes()
        .startswith(
            b'ply\nformat binary_little_endian 1.0\nelement vertex 5\nproperty float x\n'
            b'property double y\nproperty float z\nproperty uchar red\nproperty short tag\n'
            b'element face 3\nproperty list uchar int vertex_indices\nproperty float quality\n'
            b'end_header\n'
        )
    )


@pytest.mark.parametrize('length', [1, 255, 256])
def test_lists_of_any_length_in_any_memory(tmp_path, length):
    rows = np.zeros(8, [('id', '>u4'), ('values', '>f8', (length,))])[::2]
    rows['id'], rows['values'] = 2**32 - 1, RNG.normal(size=(4, length))
    ply.write(tmp_path / 'x.ply', {'rows': rows})
    same(ply.read(tmp_path / 'x.ply'), {'rows': rows.astype(rows.dtype.newbyteorder('<'))})


@pytest.mark.parametrize('count', [0, 1])
def test_few_rows(tmp_path, count):
    empty = {'face': mesh()['face'][:count], 'vertex': mesh()['vertex'][:count]}
    ply.write(tmp_path / 'x.ply', empty)
    found = ply.read(tmp_path / 'x.ply')
    assert [len(found['face']), len(found['vertex'])] == [count, count]


def test_big_endian_by_hand(written):
    body = np.array([1.5, -2.0], '>f8').tobytes() + bytes([2, 0x01, 0x02, 0x03, 0x04])
    path = written(
        'format binary_big_endian 1.0',
        'comment property of nothing',
        'element point 2',
        'property float64 x',
        'element line 1',
        'property list uint8 int16 ends',
        body=body,
    )
    found = ply.read(path)
    np.testing.assert_array_equal(found['point']['x'], [1.5, -2])
    np.testing.assert_array_equal(found['line']['ends'], [[0x0102, 0x0304]])
    assert found['point'].dtype['x'] == np.float64 and found['line'].dtype['ends'].base == np.int16


def test_ascii_by_hand_with_carriage_returns(tmp_path):
    text = (
        'ply\nformat ascii 1.0\nobj_info none\nelement vertex 2\nproperty float x\nproperty uint id'
        '\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n'
        '0.1 4294967295\n-1e-3 7\n3 0 1 0\n4 1 1 0 0\n'
    )
    (tmp_path / 'x.ply').write_bytes(text.replace('\n', '\r\n').encode())
    found = ply.read(tmp_path / 'x.ply')
    np.testing.assert_array_equal(found['vertex']['x'], np.float32([0.1, -1e-3]))
    np.testing.assert_array_equal(found['vertex']['id'], [4294967295, 7])
    faces = found['face']['vertex_indices']
    assert [face.tolist() for face in faces] == [[0, 1, 0], [1, 1, 0, 0]]
    assert faces[0].dtype == np.int32


@pytest.mark.parametrize('order', ['little', 'big'])
def test_uneven_lists_among_scalars(written, order):
    sign = '<' if order == 'little' else '>'
    lengths, rows = [2, 0, 5, 2], []
    body = b''
    for i, length in enumerate(lengths):
        rows.append((i / 4, RNG.integers(-9, 9, length), RNG.normal(size=3).astype('f4')))
        body += np.array(rows[-1][0], sign + 'f4').tobytes() + bytes([length])
        body += rows[-1][1].astype(sign + 'i2').tobytes()
        body += np.array(3, sign + 'i4').tobytes() + rows[-1][2].astype(sign + 'f4').tobytes()
    path = written(
        f'format binary_{order}_endian 1.0',
        'element thing 4',
        'property float t',
        'property list uchar short uneven',
        'property list int float even',
        'element last 1',
        'property uchar end',
        body=body + b'\x07',
    )
    found = ply.read(path)
    for row, expected in zip(found['thing'], rows, strict=True):
        for value, right in zip(row, expected, strict=True):
            np.testing.assert_array_equal(value, right)
    assert found['last']['end'] == 7
    data = path.read_bytes()
    for cut in range(1, len(body), 4):
        path.write_bytes(data[:-cut])
        assert 'truncated or damaged' in message(path), cut


def test_truncated_and_damaged(tmp_path, written):
    path = tmp_path / 'y.ply'
    ply.write(path, mesh())
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert 'its 3 rows of face do not fit into the 50 bytes' in message(path)
    path.write_bytes(data[: data.index(b'end_header')])
    assert 'is no PLY file' in message(path)
    assert 'cannot be read' in message(tmp_path / 'absent.ply')
    ascii = 'format ascii 1.0', 'element vertex 2', 'property float x'
    assert 'its 2 rows of vertex' in message(written(*ascii, body=b'1.0\n'))
    assert 'that is no number' in message(written(*ascii, body=b'1.0\nx\n'))
    negative = 'format ascii 1.0', 'element face 1', 'property list int int corners'
    assert 'truncated or damaged' in message(written(*negative, body=b'-1 5\n'))


@pytest.mark.parametrize(
    ('lines', 'expected'),
    [
        (['element vertex 2'], 'has no format'),
        (['format ascii 2.0'], "'format ascii 2.0', which is not PLY 1.0"),
        (['format binary 1.0'], 'which is not PLY'),
        (['format ascii 1.0', 'property float x'], 'which is not PLY'),
        (['format ascii 1.0', 'element vertex -1'], 'which is not PLY'),
        (['format ascii 1.0', 'element v 1', 'property long x'], 'a type must be one of char,'),
        (['format ascii 1.0', 'element v 1', 'property list int x'], 'which is not PLY'),
        (['format ascii 1.0', 'element v 0', *2 * ['property int x']], 'a name twice'),
        (['format ascii 1.0', 'element v 0', 'element v 0'], 'a name twice'),
    ],
)
def test_malformed_headers(written, lines, expected):
    assert expected in message(written(*lines, body=b'1 1\n'))


def test_what_is_not_written(tmp_path):
    for dtype in ('i8', 'f2', '?', ('f4', (2, 2)), object):
        rows = np.zeros(2, [('x', dtype)])
        with pytest.raises(UserError, match=r'x of points is .* but a property is one of int8,'):
            ply.write(tmp_path / 'x.ply', {'points': rows})
        assert not (tmp_path / 'x.ply').exists()


@pytest.mark.oracles
@pytest.mark.parametrize('form', ['<', '>', 'ascii'])
def test_against_plyfile(tmp_path, form):
    plyfile = pytest.importorskip('plyfile')
    path, expected = tmp_path / 'x.ply', mesh()
    # plyfile does not swap the bytes of scalars beside lists.
    expected['face'] = expected['face'][['vertex_indices']]
    ply.write(path, expected)
    read = plyfile.PlyData.read(path)
    for element in read.elements:
        for name in expected[element.name].dtype.names:
            values = np.stack(element[name]) if name == 'vertex_indices' else element[name]
            np.testing.assert_array_equal(values, expected[element.name][name])
    read.text, read.byte_order = form == 'ascii', '<' if form == 'ascii' else form
    read.write(tmp_path / 'y.ply')  # plyfile still holds the other open
    found = ply.read(tmp_path / 'y.ply')
    for name, rows in expected.items():
        for field in rows.dtype.names:
            np.testing.assert_allclose(found[name][field], rows[field], rtol=1e-6)
            assert found[name].dtype[field] == rows.dtype[field]


@pytest.mark.oracles
@pytest.mark.parametrize('encoding', ['binary', 'ascii'])
def test_against_trimesh(tmp_path, encoding):
    trimesh = pytest.importorskip('trimesh')
    box = trimesh.creation.box()
    (tmp_path / 'x.ply').write_bytes(box.export(file_type='ply', encoding=encoding))
    found = ply.read(tmp_path / 'x.ply')
    points = np.stack([found['vertex'][axis] for axis in 'xyz'], 1)
    np.testing.assert_allclose(points, box.vertices)
    np.testing.assert_array_equal(found['face']['vertex_indices'], box.faces)
    ply.write(tmp_path / 'y.ply', found)
    again = trimesh.load(tmp_path / 'y.ply', process=False)
    np.testing.assert_allclose(again.vertices, box.vertices)
    np.testing.assert_array_equal(again.faces, box.faces)
