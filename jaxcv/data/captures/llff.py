"""poses_bounds.npy: the format of LLFF and of NeRF's forward-facing scenes.

A row is a 3x5 matrix [R | t | (height, width, focal)], camera to world with the axes (down, right,
backward), and the bounds of depth (near, far).
"""

from pathlib import Path

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.data.captures.capture import Capture, divided, every_eighth, moved
from jaxcv.data.captures.pictures import inspect, smaller
from jaxcv.data.captures.placed import Intrinsics, cameras, from_opengl, rigid, to_opengl
from jaxcv.errors import UserError

FILE = 'poses_bounds.npy'
SUFFIXES = ('.png', '.jpg', '.jpeg')
MARGIN = 0.75  # of the nearest bound: it comes to lie at 1 / 0.75


def read(path: str | Path, downscale: int = 1) -> Capture:
    """`path/poses_bounds.npy` with the photographs in `path/images` (or `images_4`), by name.

    As NeRF has it, the world is scaled so that the nearest bound is 4/3, and moved so that the
    average camera stands at the origin with OpenGL's axes: what NDC (`ndc`, near = 1) expects.
    `Capture.transform` has it. Every 8th photograph is for testing.
    """
    path = Path(path)
    rows = _rows(path / FILE)
    folder = path / 'images'
    if downscale > 1 and not folder.is_dir():
        folder, downscale = path / f'images_{downscale}', 1
    names = folder.iterdir() if folder.is_dir() else ()
    stated = sorted(file for file in names if file.suffix.lower() in SUFFIXES)
    if len(stated) != len(rows):
        raise UserError(
            f'{path / FILE} has {len(rows)} poses, but {folder} has {len(stated)} images'
        )
    images = smaller(stated, downscale)
    size, transparent = inspect(images)
    matrices, bounds = rows[:, :15].reshape(-1, 3, 5), rows[:, 15:]
    poses = np.stack(
        [matrices[..., 1], -matrices[..., 0], matrices[..., 2], matrices[..., 3]], axis=-1
    )
    intrinsics = [
        Intrinsics('pinhole', (width, height), (focal, focal), (width / 2, height / 2), ())
        for height, width, focal in matrices[..., 4]
    ]
    capture = Capture(
        cameras=cameras(from_opengl(rigid(poses, images)), intrinsics, images, size),
        images=tuple(images),
        channels=4 if transparent else 3,
        splits=divided(every_eighth(len(images)), str(path)),
        near=bounds[:, 0],
        far=bounds[:, 1],
    )
    return moved(capture, _to_average(capture))


def ndc(
    origins: Float[Array, '*n 3'],
    directions: Float[Array, '*n 3'],
    focal: Float[Array, '2'],
    width: int,
    height: int,
    near: float = 1.0,
) -> tuple[Float[Array, '*n 3'], Float[Array, '*n 3']]:
    """Rays in normalized device coordinates (Mildenhall et al. 2020, appendix C).

    Of the frustum that a camera at the origin with OpenGL's axes (looking along -z) sees beyond
    the plane z = -near: new origins lie on that plane (z = -1), and origin + 1 direction is
    infinitely far. New directions have no unit length.
    """
    origins = origins - ((near + origins[..., 2:]) / directions[..., 2:]) * directions
    scale = -2 * jnp.asarray(focal) / jnp.array([width, height])
    slope = origins[..., :2] / origins[..., 2:]
    there = 2 * near / origins[..., 2:]
    change = scale * (directions[..., :2] / directions[..., 2:] - slope)
    return (
        jnp.concatenate([scale * slope, 1 + there], axis=-1),
        jnp.concatenate([change, -there], axis=-1),
    )


def _rows(file):
    try:
        rows = np.load(file, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f'{file} is not a readable array: {error}') from None
    if rows.ndim != 2 or rows.shape[1] != 17 or not len(rows):
        raise UserError(f'{file} is {list(rows.shape)}, but must be [n 17]')
    if not np.isfinite(rows[:, 15:]).all() or rows[:, 15].min() <= 0:
        raise UserError(f'{file} has bounds of depth that are not positive numbers')
    return rows


def _to_average(capture):
    """What takes the average camera to the origin, and the nearest bound to 1 / MARGIN."""
    poses = to_opengl(capture.cameras.pose)
    back = poses[:, :, 2].sum(0)
    right = np.cross(poses[:, :, 1].sum(0), back)
    up = np.cross(back, right)
    rotation = np.stack([x / np.linalg.norm(x) for x in (right, up, back)])
    scale = 1 / (MARGIN * capture.near.min())
    transform = np.eye(4)
    transform[:3, :3] = scale * rotation
    transform[:3, 3] = -scale * rotation @ poses[:, :, 3].mean(0)
    return transform
