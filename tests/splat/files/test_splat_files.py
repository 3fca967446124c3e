"""Files of Gaussians: round trips, layouts by hand, axes, damaged files, other readers."""

import gzip
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from jaxcv.errors import UserError
from jaxcv.interop import ply
from jaxcv.splat import files
from jaxcv.splat.gaussians import Gaussians

TURN = np.float32([1, -1, -1])


def scene(count=50, degree=3, seed=0):
    rng = np.random.default_rng(seed)
    draws = Gaussians(
        means=rng.normal(size=(count, 3)) * 3,
        log_scales=rng.uniform(-9, 2, (count, 3)),
        rotations=rng.normal(size=(count, 4)),
        opacity_logits=rng.normal(size=count) * 2,
        sh=rng.uniform(-0.9, 0.9, (count, (degree + 1) ** 2, 3)),
    )
    return Gaussians(*(x.astype(np.float32) for x in draws))


def message(path, gaussians=None):
    with pytest.raises(UserError) as caught:
        files.read(path) if gaussians is None else files.write(path, gaussians)
    return str(caught.value)


def angles(a, b):
    """Between rotations, from quaternions wxyz of any length."""
    a, b = (Rotation.from_quat(q, scalar_first=True) for q in (a, b))
    return (a.inv() * b).magnitude()


def opacity(logits):
    return 1 / (1 + np.exp(-np.float64(logits)))


def within(path, gaussians, *, mean, log_scale, angle, color, rest):
    """What was read, if it is as near as that to what was written."""
    files.write(path, gaussians)
    found = files.read(path)
    assert all(x.dtype == np.float32 for x in found)
    np.testing.assert_allclose(found.means, gaussians.means, rtol=0, atol=mean)
    np.testing.assert_allclose(found.log_scales, gaussians.log_scales, rtol=0, atol=log_scale)
    assert angles(found.rotations, gaussians.rotations).max() < angle
    np.testing.assert_allclose(
        opacity(found.opacity_logits), opacity(gaussians.opacity_logits), rtol=0, atol=0.501 / 255
    )
    np.testing.assert_allclose(found.sh[:, 0], gaussians.sh[:, 0], rtol=0, atol=color)
    for got, true, bound in zip(np.moveaxis(found.sh[:, 1:], 1, 0), *rest, strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=bound)
    return found


@pytest.mark.parametrize('degree', range(5))
def test_ply_keeps_every_digit(tmp_path, degree):
    gaussians = scene(degree=degree)
    files.write(tmp_path / 'x.ply', gaussians)
    for found, expected in zip(files.read(tmp_path / 'x.ply'), gaussians, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


def columns(names, count=2):
    rows = np.zeros(count, [(name, 'f4') for name in names])
    for i, name in enumerate(names):
        rows[name] = i
    return {'vertex': rows}


CORE = [
    *('x', 'y', 'z', 'f_dc_0', 'f_dc_1', 'f_dc_2', 'opacity', 'scale_0', 'scale_1', 'scale_2'),
    *('rot_0', 'rot_1', 'rot_2', 'rot_3'),
]


def test_ply_columns_by_name(tmp_path):
    """In any order, without normals, in any type."""
    names = [*(f'f_rest_{i}' for i in range(24)), *CORE]
    vertex = columns(names)['vertex']
    ply.write(tmp_path / 'x.ply', {'vertex': vertex.astype([(name, 'f8') for name in names])})
    found = files.read(tmp_path / 'x.ply')
    np.testing.assert_array_equal(found.sh[0, 1:], np.arange(24).reshape(3, 8).T)
    np.testing.assert_array_equal(found.sh[0, 0], [27, 28, 29])
    np.testing.assert_array_equal(found.means[1], [24, 25, 26])
    np.testing.assert_array_equal(found.rotations[1], [34, 35, 36, 37])
    np.testing.assert_array_equal(found.log_scales[1], [31, 32, 33])
    assert found.opacity_logits.tolist() == [30, 30]


def test_ply_mistakes(tmp_path):
    path = tmp_path / 'x.ply'
    ply.write(path, columns([name for name in CORE if name not in ('y', 'rot_3')]))
    assert 'missing y, rot_3, unknown nothing, 0 of f_rest' in message(path)
    ply.write(path, columns([*CORE, 'red', 'f_rest_0', 'f_rest_2']))
    assert 'missing f_rest_1, unknown red, f_rest_2, 2 of f_rest (of 0, 9, 24' in message(path)
    ply.write(path, columns([*CORE, *(f'f_rest_{i}' for i in range(6))]))
    assert 'missing nothing, unknown nothing, 6 of f_rest' in message(path)
    ply.write(path, columns(CORE, count=0))
    assert 'there are no Gaussians' in message(path)
    ply.write(path, {'face': columns(CORE)['vertex']})
    assert 'has no element vertex; it has face' in message(path)
    files.write(path, scene())
    path.write_bytes(path.read_bytes()[:-1])
    assert 'truncated' in message(path)


@pytest.mark.parametrize('suffix', ['.ply', '.splat', '.spz'])
def test_what_is_not_written(tmp_path, suffix):
    path, good = tmp_path / f'x{suffix}', scene()
    assert 'there are no Gaussians' in message(path, Gaussians(*(x[:0] for x in good)))
    assert '15 coefficients' in message(path, good._replace(sh=good.sh[:, 1:]))
    few = good._replace(rotations=good.rotations[:, :3])
    assert 'rotations has shape (50, 3), but must have (50, 4)' in message(path, few)
    broken = good._replace(means=np.where(np.eye(50, 3), np.nan, good.means))
    assert 'means holds numbers that are not finite' in message(path, broken)
    assert not path.exists()
    assert "'.obj', but must be one of .ply, .splat, .spz" in message(tmp_path / 'x.obj')
    assert 'cannot be read' in message(tmp_path / f'absent{suffix}')


def test_splat_within_its_bytes(tmp_path):
    gaussians = scene(degree=0)
    bounds = {'mean': 0, 'log_scale': 1e-6, 'angle': 0.02, 'color': 0.501 / 255 * 3.545}
    found = within(tmp_path / 'x.splat', gaussians, **bounds, rest=([], []))
    assert (tmp_path / 'x.splat').stat().st_size == 32 * 50
    bright = scene(degree=3)._replace(sh=np.full((50, 16, 3), 9, 'f4'))
    files.write(tmp_path / 'y.splat', bright)
    np.testing.assert_allclose(files.read(tmp_path / 'y.splat').sh, 0.5 * (4 * np.pi) ** 0.5)
    assert found.sh.shape == (50, 1, 3)


def test_splat_by_hand(tmp_path):
    path = tmp_path / 'x.splat'
    row = struct.pack('<6f8B', 1, -2, 3, 0.5, 1, 2, 0, 51, 255, 204, 128, 255, 0, 64)
    path.write_bytes(row + struct.pack('<6f8B', *6 * [0], *4 * [0], *4 * [0]))
    found = files.read(path)
    np.testing.assert_array_equal(found.means[0], [1, -2, 3])
    np.testing.assert_allclose(np.exp(found.log_scales[0]), [0.5, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(0.5 + 0.28209479 * found.sh[0, 0], [0, 0.2, 1], atol=1e-6)
    np.testing.assert_allclose(opacity(found.opacity_logits[0]), 0.8, rtol=1e-6)
    np.testing.assert_allclose(found.rotations[0], [0, 127 / 128, -1, -0.5])
    assert all(np.isfinite(x).all() for x in found)
    path.write_bytes(row[:-1])
    assert '31 bytes are not a multiple of 32' in message(path)
    path.write_bytes(b'')
    assert 'there are no Gaussians' in message(path)


def steps(degree):
    """How far spherical harmonics of each coefficient above 0 may move: half a step."""
    return [(4.01 if i < 3 else 8.01) / 128 for i in range((degree + 1) ** 2 - 1)]


@pytest.mark.parametrize('degree', range(5))
def test_spz_within_its_bytes(tmp_path, degree):
    gaussians = scene(300, degree)
    rest = np.moveaxis(gaussians.sh[:, 1:], 1, 0), steps(degree)
    bounds = {'mean': 0.501 / 4096, 'log_scale': 0.501 / 16, 'color': 0.501 / 38.25}
    within(tmp_path / 'x.spz', gaussians, **bounds, angle=0.004, rest=rest)


def test_spz_keeps_every_byte(tmp_path):
    """All values that a byte can have come back as the same byte."""
    data = np.arange(256, dtype=np.uint8)
    three = np.repeat(data, 3)
    positions = np.random.default_rng(0).integers(0, 256, 9 * 256, np.uint8)
    positions[2::3] -= positions[2::3] == 128  # -2^23 has no opposite
    rotations = np.zeros(256, '<u4')
    payload = b''.join(x.tobytes() for x in (positions, data, three, three, rotations))
    header = struct.pack('<IIIBBBB', 0x5053474E, 3, 256, 0, 12, 0, 0)
    path = tmp_path / 'x.spz'
    path.write_bytes(gzip.compress(header + payload))
    found = files.read(path)
    assert all(np.isfinite(x).all() for x in found)
    files.write(path, found)
    assert gzip.decompress(path.read_bytes()) == header + payload


def test_spz_of_version_2_by_hand(tmp_path):
    header = struct.pack('<IIIBBBB', 0x5053474E, 2, 2, 1, 8, 1, 0)
    positions = b''.join(
        value.to_bytes(3, 'little', signed=True) for value in (256, -512, 1, -1, 8388607, -8388608)
    )
    payload = [positions, bytes([51, 255]), bytes([0, 128, 255] * 2), bytes([0, 160, 255] * 2)]
    payload += [bytes([255, 127, 128, 51, 128, 204]), bytes(range(100, 118))]
    path = tmp_path / 'x.spz'
    path.write_bytes(gzip.compress(header + b''.join(payload)))
    found = files.read(path)
    means = [[1, 2, -1 / 256], [-1 / 256, -8388607 / 256, 32768]]
    np.testing.assert_allclose(found.means, means, rtol=1e-6)
    np.testing.assert_allclose(opacity(found.opacity_logits[0]), 0.2, rtol=1e-6)
    np.testing.assert_allclose(found.sh[0, 0], np.array([-0.5, 0.5 / 255, 0.5]) / 0.15, rtol=1e-5)
    np.testing.assert_allclose(found.log_scales[1], [-10, 0, 255 / 16 - 10])
    # The basis functions are y, z, x.
    np.testing.assert_allclose(found.sh[1, 1] * 128, -(np.arange(109, 112.0) - 128))
    np.testing.assert_allclose(found.sh[1, 2] * 128, -(np.arange(112, 115.0) - 128))
    np.testing.assert_allclose(found.sh[1, 3] * 128, np.arange(115, 118.0) - 128)
    tiny = 0.5 / 127.5
    np.testing.assert_allclose(found.rotations[0], [0, 1, tiny, -tiny], atol=1e-6)
    w = np.sqrt(1 - 2 * 0.6**2 - tiny**2)
    np.testing.assert_allclose(found.rotations[1], [w, -0.6, -tiny, -0.6], atol=1e-6)


def color(sh, directions):
    """Of every Gaussian in every direction, by SciPy's complex functions."""
    x, y, z = directions.T
    basis = []
    for degree in range(4):
        for m in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(m), np.arccos(z), np.arctan2(y, x))
            value = value * (-1) ** m * 2**0.5
            basis.append(value.imag if m < 0 else value.real / (1 if m else 2**0.5))
    return np.einsum('nkc,kd->ndc', sh, np.array(basis))


def test_spz_turns_the_axes_of_all_attributes(tmp_path):
    """A file whose bytes are read as they stand, in its own axes, looks the same from there."""
    gaussians = scene(40)
    files.write(tmp_path / 'x.spz', gaussians)
    data = gzip.decompress((tmp_path / 'x.spz').read_bytes())[16:]
    rest = np.frombuffer(data, np.uint8, 40 * 45, 40 * 20).reshape(40, 15, 3)
    colors = np.frombuffer(data, np.uint8, 40 * 3, 40 * 10).reshape(40, 1, 3)
    in_file = np.concatenate([(colors - 127.5) / 38.25, (rest - 128.0) / 128], 1)
    directions = np.random.default_rng(1).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = files.read(tmp_path / 'x.spz')
    seen = color(found.sh, directions)
    np.testing.assert_allclose(seen, color(in_file, directions * TURN), atol=1e-5)
    assert np.abs(seen - color(in_file, directions)).max() > 0.5
    # Half a turn about x, before and after: 4 bytes of rotation, decoded here bit by bit.
    for word, rotation in zip(
        np.frombuffer(data, '<u4', 40, 40 * 16), found.rotations, strict=True
    ):
        bits = f'{word:032b}'
        largest, xyzw = int(bits[:2], 2), []
        for i in range(3):
            part = bits[2 + 10 * i : 12 + 10 * i]
            xyzw.append((-1) ** int(part[0]) * int(part[1:], 2) / 511 / 2**0.5)
        xyzw.insert(largest, (1 - np.dot(xyzw, xyzw)) ** 0.5)
        here = Rotation.from_quat(rotation, scalar_first=True).as_matrix()
        there = Rotation.from_quat(xyzw).as_matrix()
        np.testing.assert_allclose(here, np.diag(TURN) @ there @ np.diag(TURN), atol=1e-5)


def test_spz_far_positions(tmp_path):
    path, gaussians = tmp_path / 'x.spz', scene()
    far = gaussians._replace(means=gaussians.means * 0 + np.float32(5000))
    assert 'positions reach 5000, which does not fit with 12 fraction bits' in message(path, far)
    assert 'choose at most 10' in message(path, far)
    files.write_spz(path, far, fraction_bits=10)
    np.testing.assert_array_equal(files.read(path).means, far.means)


def test_spz_mistakes(tmp_path):
    path = tmp_path / 'x.spz'
    files.write(path, scene(9))
    data = path.read_bytes()
    plain = gzip.decompress(data)
    for cut in (data[:-3], data[:9], b'', b'nothing of the kind', gzip.compress(plain[:9])):
        path.write_bytes(cut)
        assert 'truncated or no SPZ file' in message(path)
    path.write_bytes(gzip.compress(plain[:-1]))
    assert 'truncated or damaged' in message(path)
    path.write_bytes(plain)
    assert 'version 4 or later' in message(path)
    for place, value in [(0, 1), (4, 1), (4, 4), (12, 5), (14, 2)]:
        path.write_bytes(gzip.compress(plain[:place] + bytes([value]) + plain[place + 1 :]))
        assert 'but only 0x5053474e, versions 2 and 3' in message(path)
    path.write_bytes(gzip.compress(plain[:8] + bytes(4) + plain[12:16]))
    assert 'there are no Gaussians' in message(path)


def gsply_record(data, turn):
    """gsply's attributes as ours; it leaves SPZ in the axes of the file."""
    turn = TURN if turn else np.ones(3, 'f4')
    means, rotations = data.means * turn, data.quats * np.float32([1, *turn])
    return Gaussians(means, data.scales, rotations, data.opacities.reshape(-1), data.sh0)


@pytest.fixture
def gsply(monkeypatch):
    monkeypatch.setenv('NUMBA_DISABLE_JIT', '1')  # compiling takes longer than all else
    return pytest.importorskip('gsply')


@pytest.mark.oracles
@pytest.mark.parametrize('suffix', ['.ply', '.spz'])
@pytest.mark.parametrize('degree', range(4))
def test_against_gsply(tmp_path, gsply, suffix, degree):
    read = gsply.plyread if suffix == '.ply' else gsply.read_spz
    path, gaussians, spz = tmp_path / f'x{suffix}', scene(degree=degree), suffix == '.spz'
    files.write(path, gaussians)
    theirs, ours = read(path), files.read(path)
    for name, expected in zip(ours._fields, gsply_record(theirs, spz), strict=True):
        value = getattr(ours, name)
        if name == 'sh':
            value = value[:, 0]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    if degree:
        signs = 1 - 2 * (spz * np.isin(np.arange(15), [0, 1, 3, 6, 8, 10, 11, 13]))
        expected = theirs.shN * signs[: theirs.shN.shape[1], None]
        np.testing.assert_allclose(ours.sh[:, 1:], expected, atol=1e-6)


@pytest.mark.oracles
@pytest.mark.parametrize('suffix', ['.ply', '.spz'])
def test_reads_what_gsply_writes(tmp_path, gsply, suffix):
    x = scene()
    theirs = gsply.GSData.from_arrays(
        means=x.means,
        scales=x.log_scales,
        quats=x.rotations / np.linalg.norm(x.rotations, axis=1, keepdims=True),
        opacities=x.opacity_logits,
        sh0=x.sh[:, 0],
        shN=x.sh[:, 1:],
        format='ply',
    )
    path = tmp_path / f'x{suffix}'
    if suffix == '.ply':
        gsply.plywrite(path, theirs)
    else:
        gsply.write_spz(path, theirs, version=3)
    found, spz = files.read(path), suffix == '.spz'
    turn = TURN if spz else 1
    np.testing.assert_allclose(found.means * turn, x.means, atol=spz * 0.501 / 4096)
    np.testing.assert_allclose(found.log_scales, x.log_scales, atol=spz * 0.501 / 16)
    np.testing.assert_allclose(
        opacity(found.opacity_logits), opacity(x.opacity_logits), atol=max(1e-6, spz * 0.501 / 255)
    )
    np.testing.assert_allclose(found.sh[:, 0], x.sh[:, 0], atol=spz * 0.501 / 38.25)
    quaternions = found.rotations * (np.float32([1, *TURN]) if spz else 1)
    assert angles(quaternions, x.rotations).max() < 0.004


@pytest.mark.oracles
def test_against_plyfile(tmp_path):
    plyfile = pytest.importorskip('plyfile')
    gaussians = scene()
    files.write(tmp_path / 'x.ply', gaussians)
    vertex = plyfile.PlyData.read(tmp_path / 'x.ply')['vertex']
    for i in range(45):  # channel-major
        expected = gaussians.sh[:, 1 + i % 15, i // 15]
        np.testing.assert_array_equal(vertex[f'f_rest_{i}'], expected)
    for i, axis in enumerate('xyz'):
        np.testing.assert_array_equal(vertex[axis], gaussians.means[:, i])
        np.testing.assert_array_equal(vertex[f'n{axis}'], 0)
        np.testing.assert_array_equal(vertex[f'f_dc_{i}'], gaussians.sh[:, 0, i])
        np.testing.assert_array_equal(vertex[f'scale_{i}'], gaussians.log_scales[:, i])
    for i in range(4):
        np.testing.assert_array_equal(vertex[f'rot_{i}'], gaussians.rotations[:, i])
    np.testing.assert_array_equal(vertex['opacity'], gaussians.opacity_logits)
