"""A scene as the bytes that the page reads: rows of texels, column by column, under zlib.

A row is 32 bytes: what .splat needs too, but with the digits that this leaves out. Spherical
harmonics follow, a word for each coefficient with a byte for each color. The graphics card reads
rows as they are; in columns they take half as many bytes, since those of a column are alike.
"""

import struct
import zlib

import numpy as np

from jaxcv.ops.sh import DEGREES, degree
from jaxcv.splat.files.record import checked
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.projection import LARGEST

HEADER = struct.Struct('<II4f')  # count, degree, ranges of the coefficients of degrees 1 to 4
TEXEL = 16  # bytes
ROW = np.dtype(
    [
        ('mean', '<f4', 3),
        ('log_scale', '<f2', 3),
        ('opacity', '<u2'),  # 14 bits, then 2 of which of the quaternion's wxyz is the largest
        ('others', '<i2', 3),  # of it, divided by the largest
        ('color', '<f2', 3),  # the coefficients of degree 0
    ]
)
OPACITIES = 2**14 - 1
HALF = np.finfo(np.float16).max
_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def pack(gaussians: Gaussians) -> bytes:
    """The bytes of a scene; the same for the same scene."""
    found = checked('the scene', gaussians)
    rest, ranges = _harmonics(found.sh)
    table = np.concatenate([_rows(found).view(np.uint8).reshape(len(rest), -1), rest], axis=1)
    header = HEADER.pack(len(rest), degree(found.sh.shape[1]), *ranges)
    return zlib.compress(header + table.T.tobytes())


def _rows(found):
    rows = np.empty(len(found.means), ROW)
    rows['mean'] = found.means
    rows['log_scale'] = np.clip(found.log_scales, -HALF, HALF)
    rows['color'] = np.clip(found.sh[:, 0], -HALF, HALF)
    largest = np.abs(found.rotations).argmax(1)[:, None]
    length = np.take_along_axis(found.rotations, largest, 1)
    others = np.take_along_axis(found.rotations, _OTHERS[largest[:, 0]], 1)
    rows['others'] = np.rint(32767 * others / np.where(length == 0, 1, length))
    # What `project` does not draw.
    drawn = (np.abs(found.means) < LARGEST).all(1) & (found.log_scales < np.log(LARGEST)).all(1)
    opacity = drawn / (1 + np.exp(-found.opacity_logits.astype(np.float64)))
    rows['opacity'] = np.rint(OPACITIES * opacity).astype(np.uint16) << 2 | largest[:, 0]
    return rows


def _harmonics(sh):
    """[n bytes]: words of three signed bytes and a 0, to the end of a texel; and what 127 means."""
    count, coefficients = sh.shape[:2]
    words = np.zeros((count, -(-(coefficients - 1) // 4) * 4, 4), np.int8)
    ranges = np.zeros(DEGREES, np.float32)
    for top in range(1, degree(coefficients) + 1):
        values = sh[:, top**2 : (top + 1) ** 2]
        ranges[top - 1] = np.abs(values).max()
        steps = np.rint(values * (127 / max(ranges[top - 1], np.finfo(np.float32).tiny)))
        words[:, top**2 - 1 : (top + 1) ** 2 - 1, :3] = steps
    return words.view(np.uint8).reshape(count, -1), ranges
