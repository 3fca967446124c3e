"""The `.splat` files of web viewers: 32 bytes a Gaussian, without a header.

Three float32 of position, three of scale (not its log), 4 bytes of color and opacity, 4 bytes of a
unit quaternion wxyz, 128 q + 128. Colors lie in [0, 1]; spherical harmonics have degree 0.
"""

from pathlib import Path

import numpy as np

from jaxcv.errors import UserError
from jaxcv.ops.sh import CONSTANT
from jaxcv.splat.files.record import checked, file_bytes, opacity_bytes, opacity_logits, some
from jaxcv.splat.gaussians import Gaussians

ROW = np.dtype([('mean', '<f4', 3), ('scale', '<f4', 3), ('rgba', 'u1', 4), ('rotation', 'u1', 4)])


def read_splat(path: str | Path) -> Gaussians:
    """The scene of a file, in numpy; degree 0."""
    data = file_bytes(path)
    if len(data) % ROW.itemsize:
        raise UserError(
            f'{path} is truncated or no .splat file: {len(data)} bytes are not a multiple of '
            f'{ROW.itemsize}'
        )
    some(path, len(data))
    rows = np.frombuffer(data, ROW)
    colors = rows['rgba'][:, None, :3] / np.float32(255)
    return Gaussians(
        means=rows['mean'],
        log_scales=np.log(np.maximum(rows['scale'], np.finfo(np.float32).tiny)),
        rotations=(rows['rotation'] - np.float32(128)) / 128,
        opacity_logits=opacity_logits(rows['rgba'][:, 3]),
        sh=(colors - np.float32(0.5)) / np.float32(CONSTANT),
    )


def write_splat(path: str | Path, gaussians: Gaussians) -> None:
    """Writes a scene without its view dependence: all degrees above 0 are lost."""
    found = checked(path, gaussians)
    rows = np.empty(len(found.means), ROW)
    rows['mean'] = found.means
    rows['scale'] = np.exp(found.log_scales)
    colors = np.rint(255 * (CONSTANT * found.sh[:, 0] + 0.5))
    rows['rgba'][:, :3] = np.clip(colors, 0, 255)
    rows['rgba'][:, 3] = opacity_bytes(found.opacity_logits)
    units = found.rotations / np.linalg.norm(found.rotations, axis=1, keepdims=True)
    rows['rotation'] = np.clip(np.rint(128 * units + 128), 0, 255)
    rows.tofile(path)
