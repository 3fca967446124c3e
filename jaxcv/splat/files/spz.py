"""SPZ, the compressed format of Niantic: bytes by attribute under gzip; versions 2 and 3.

After 16 bytes of header: positions (24 bits fixed point), opacities, colors, logs of scales,
rotations, spherical harmonics. Its axes are x right, y up, z back; those of the record, as in PLY
files, x right, y down, z forward: half a turn about x. The format: github.com/nianticlabs/spz.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxcv.errors import UserError
from jaxcv.ops.sh import DEGREES, degree
from jaxcv.splat.files.record import (
    checked,
    file_bytes,
    opacity_bytes,
    opacity_logits,
    some,
)
from jaxcv.splat.gaussians import Gaussians

MAGIC = 0x5053474E
HEADER = struct.Struct('<IIIBBBB')  # magic, version, count, degree, fraction bits, flags, 0
EXTENDED = 2  # the flag of extensions, which may change how all else is read
FRACTION_BITS = 12  # of positions: steps of 1/4096, up to 2048
COLOR = 0.15 * 255  # bytes per unit of the coefficient of degree 0
STEPS = (1, 8, 16, 16, 16)  # of 1/128, for the coefficients of each degree
TURN = np.float32([1, -1, -1])  # between the axes of the file and of the record
_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def read_spz(path: str | Path) -> Gaussians:
    """The scene of a file, in numpy. Whether it was trained with anti-aliasing is not told."""
    data = file_bytes(path)
    if data[:4] == MAGIC.to_bytes(4, 'little'):
        raise UserError(f'{path} is SPZ of version 4 or later, but only 2 and 3 are read')
    try:
        data = gzip.decompress(data)
        magic, version, count, top, fraction_bits, flags, _ = HEADER.unpack_from(data)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise UserError(f'{path} is truncated or no SPZ file: {error}') from error
    if magic != MAGIC or version not in (2, 3) or top > DEGREES or flags & EXTENDED:
        raise UserError(
            f'{path} has magic number {magic:#x}, version {version}, degree {top}, flags {flags}, '
            f'but only {MAGIC:#x}, versions 2 and 3, degrees 0 to 4 without extensions are read'
        )
    some(path, count)
    coefficients = (top + 1) ** 2
    widths = [9, 1, 3, 3, version + 1, 3 * coefficients - 3]
    if len(data) != HEADER.size + count * sum(widths):
        raise UserError(
            f'{path} is truncated or damaged: {len(data)} bytes, but {count} Gaussians of degree '
            f'{top} take {HEADER.size + count * sum(widths)}'
        )
    bounds = HEADER.size + count * np.cumsum([0, *widths])
    positions, opacities, colors, scales, rotations, rest = (
        np.frombuffer(data, np.uint8, width * count, start).reshape(count, width)
        for width, start in zip(widths, bounds[:-1], strict=True)
    )
    sh = np.empty((count, coefficients, 3), np.float32)
    sh[:, 0] = (colors - np.float32(127.5)) / np.float32(COLOR)
    sh[:, 1:] = (rest.reshape(count, -1, 3) - np.float32(128)) / 128
    sh *= _turned(coefficients)[:, None]
    quaternions = _smallest_three(rotations) if version == 3 else _first_three(rotations)
    return Gaussians(
        means=_positions(positions, fraction_bits) * TURN,
        log_scales=scales / np.float32(16) - 10,
        rotations=quaternions * np.float32([1, *TURN]),
        opacity_logits=opacity_logits(opacities[:, 0]),
        sh=sh,
    )


def write_spz(path: str | Path, gaussians: Gaussians, fraction_bits: int = FRACTION_BITS) -> None:
    """Writes version 3. Positions have steps of 2^-fraction_bits and lie within
    2^(23 - fraction_bits). What follows is cut: logs of scales to [-10, 6) in steps of 1/16, the
    coefficients of degree 0 to ±10/3, those above to [-1, 1) in steps of 1/16 (degree 1) or 1/8."""
    found = checked(path, gaussians)
    count, coefficients = found.sh.shape[:2]
    fixed = np.rint(found.means.astype(np.float64) * TURN * 2.0**fraction_bits)
    reach = np.abs(fixed).max()
    if reach >= 2**23:
        fit = fraction_bits - int(np.ceil(np.log2((reach + 1) / 2**23)))
        raise UserError(
            f'{path}: positions reach {np.abs(found.means).max():g}, which does not fit with '
            f'{fraction_bits} fraction bits: choose at most {fit}'
        )
    sh = found.sh * _turned(coefficients)[:, None]
    steps = np.repeat(STEPS, 2 * np.arange(len(STEPS)) + 1)[1:coefficients, None]
    rest = steps * np.rint((128 * sh[:, 1:] + 128) / steps)
    parts = [
        fixed.astype('<i4')[..., None].view(np.uint8)[..., :3],
        opacity_bytes(found.opacity_logits),
        _byte(COLOR * sh[:, 0] + 127.5),
        _byte(16 * (found.log_scales + 10)),
        _packed(found.rotations * np.float32([1, *TURN])),
        _byte(rest),
    ]
    header = HEADER.pack(MAGIC, 3, count, degree(coefficients), fraction_bits, 0, 0)
    data = b''.join([header, *(part.tobytes() for part in parts)])
    Path(path).write_bytes(gzip.compress(data, compresslevel=6, mtime=0))


def _byte(x):
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def _turned(coefficients):
    """±1 for each basis function: what half a turn about x makes of it."""
    # Odd in y are those of order m < 0; odd in z those whose degree - |m| is odd.
    return np.float32(
        [
            (-1) ** ((m < 0) + top - abs(m))
            for top in range(degree(coefficients) + 1)
            for m in range(-top, top + 1)
        ]
    )


def _positions(codes, fraction_bits):
    wide = np.zeros((len(codes), 3, 4), np.uint8)
    wide[..., 1:] = codes.reshape(-1, 3, 3)
    fixed = wide.view('<i4')[..., 0] >> 8  # with its sign
    return fixed.astype(np.float32) * np.float32(2.0**-fraction_bits)


def _first_three(codes):
    """wxyz from xyz, 127.5 q + 127.5 each, of a unit quaternion with w >= 0."""
    xyz = codes / np.float32(127.5) - 1
    w = np.sqrt(np.maximum(0, 1 - np.square(xyz).sum(1, keepdims=True)))
    return np.concatenate([w, xyz], 1)


def _smallest_three(codes):
    """wxyz from the place of the largest of xyzw (2 bits), then the signs (1 bit) and magnitudes (9
    bits, sqrt(2) q) of the others."""
    packed = np.ascontiguousarray(codes).view('<u4')
    largest = packed >> 30
    three = packed >> np.uint32([20, 10, 0]) & 1023
    values = (three & 511) * np.float32(1 / (511 * np.sqrt(2)))
    values = np.where(three & 512, -values, values)
    xyzw = np.empty((len(codes), 4), np.float32)
    np.put_along_axis(xyzw, _OTHERS[largest[:, 0]], values, 1)
    rest = np.sqrt(np.maximum(0, 1 - np.square(values).sum(1, keepdims=True)))
    np.put_along_axis(xyzw, largest.astype(np.intp), rest, 1)
    return np.roll(xyzw, 1, 1)


def _packed(rotations):
    """The inverse of `_smallest_three`, as [n] '<u4'."""
    xyzw = np.roll(rotations / np.linalg.norm(rotations, axis=1, keepdims=True), -1, 1)
    largest = np.abs(xyzw).argmax(1)
    sign = np.take_along_axis(xyzw, largest[:, None], 1) < 0
    three = np.take_along_axis(xyzw, _OTHERS[largest], 1)
    magnitude = np.minimum(np.rint(511 * np.sqrt(2) * np.abs(three)), 511).astype(np.uint32)
    signed = ((three < 0) ^ sign).astype(np.uint32) << 9 | magnitude
    packed = signed << np.uint32([20, 10, 0])
    return (packed.sum(1) + (largest << 30)).astype('<u4')
