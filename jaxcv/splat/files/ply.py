"""The PLY files of 3DGS (Kerbl et al. 2023): a vertex for each Gaussian, float32 throughout.

Properties x y z nx ny nz f_dc_0..2 f_rest_0.. opacity scale_0..2 rot_0..3: logits of opacities,
logs of scales, quaternions wxyz; f_rest channel-major, all of red before all of green; the normals
are 0 and mean nothing.
"""

from pathlib import Path

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured

from jaxcv.errors import UserError
from jaxcv.interop import ply
from jaxcv.splat.files.record import SIZES, checked, some
from jaxcv.splat.gaussians import Gaussians

NORMALS = ['nx', 'ny', 'nz']
BEFORE = ['x', 'y', 'z', *NORMALS, 'f_dc_0', 'f_dc_1', 'f_dc_2']
AFTER = ['opacity', *(f'scale_{i}' for i in range(3)), *(f'rot_{i}' for i in range(4))]


def read_ply(path: str | Path) -> Gaussians:
    """The scene of a 3DGS file, in numpy, every digit as it is. The normals may be absent."""
    elements = ply.read(path)
    if 'vertex' not in elements:
        raise UserError(f'{path} has no element vertex; it has {", ".join(elements) or "none"}')
    vertices = elements['vertex']
    names = vertices.dtype.names or ()
    rest = _rest(sum(name.startswith('f_rest_') for name in names))
    known = [*BEFORE, *rest, *AFTER]
    missing = [name for name in known if name not in names and name not in NORMALS]
    extra = [name for name in names if name not in known]
    if missing or extra or len(rest) // 3 + 1 not in SIZES or len(rest) % 3:
        counts = ', '.join(str(3 * size - 3) for size in SIZES)
        raise UserError(
            f'{path} is no 3DGS file: missing {", ".join(missing) or "nothing"}, '
            f'unknown {", ".join(extra) or "nothing"}, {len(rest)} of f_rest (of {counts})'
        )
    some(path, len(vertices))
    rows = structured_to_unstructured(vertices, np.float32)

    def columns(*wanted):
        return rows[:, [names.index(name) for name in wanted]]

    sh = np.empty((len(rows), len(rest) // 3 + 1, 3), np.float32)
    sh[:, 0] = columns('f_dc_0', 'f_dc_1', 'f_dc_2')
    sh[:, 1:] = columns(*rest).reshape(len(rows), 3, -1).swapaxes(1, 2)
    logits, *scales_and_rotations = AFTER
    return Gaussians(
        means=columns('x', 'y', 'z'),
        log_scales=columns(*scales_and_rotations[:3]),
        rotations=columns(*scales_and_rotations[3:]),
        opacity_logits=columns(logits)[:, 0],
        sh=sh,
    )


def write_ply(path: str | Path, gaussians: Gaussians) -> None:
    """Writes the file that `read_ply` and the viewers of 3DGS read."""
    found = checked(path, gaussians)
    count = len(found.means)
    rows = np.concatenate(
        [
            found.means,
            np.zeros((count, 3), np.float32),
            found.sh[:, 0],
            found.sh[:, 1:].swapaxes(1, 2).reshape(count, -1),
            found.opacity_logits[:, None],
            found.log_scales,
            found.rotations,
        ],
        axis=1,
    )
    rest = _rest(3 * found.sh.shape[1] - 3)
    layout = [(name, '<f4') for name in [*BEFORE, *rest, *AFTER]]
    ply.write(path, {'vertex': rows.view(layout)[:, 0]})


def _rest(count):
    return [f'f_rest_{i}' for i in range(count)]
