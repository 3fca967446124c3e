"""Photographs of one scene and their cameras. Files are read when they are asked for."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, UInt8

from jaxcv.cameras import Camera
from jaxcv.data.captures import pictures
from jaxcv.errors import UserError

HOLD = 8  # every 8th photograph is for testing where a format does not say


class Points(NamedTuple):
    """Sparse points of a scene."""

    xyz: Float64[np.ndarray, 'm 3']
    rgb: UInt8[np.ndarray, 'm 3']


@dataclass(frozen=True, eq=False, kw_only=True)
class Capture:
    """n photographs of one size, in the order of their files' format.

    cameras     n of them. Leaves are float64 numpy arrays, as exact as the files, because worlds
                that are laid on the earth's coordinates need it; `frames` makes them float32
    images      files
    channels    4 if any photograph has transparency, otherwise 3
    splits      indices of photographs: 'train', and 'val' and 'test' if there are any
    masks       files: what is not black counts
    depths      files, of depth along the axis of the camera (z)
    depth_unit  how long 1 in those files is in the world
    times       when each was taken, as dynamic scenes state it
    near, far   bounds of depth for each, where the format states them
    points      sparse points, where the format has them
    transform   what was applied to the world that the poses were once found in:
                x here is transform x there; a similarity
    """

    cameras: Camera
    images: tuple[Path, ...]
    channels: int
    splits: dict[str, Int[np.ndarray, 's']]
    masks: tuple[Path, ...] | None = None
    depths: tuple[Path, ...] | None = None
    depth_unit: float = 1e-3
    times: Float64[np.ndarray, 'n'] | None = None
    near: Float64[np.ndarray, 'n'] | None = None
    far: Float64[np.ndarray, 'n'] | None = None
    points: Points | None = None
    transform: Float64[np.ndarray, '4 4'] = field(default_factory=lambda: np.eye(4))

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> UInt8[np.ndarray, 'h w c']:
        """RGB, or RGB and opacity (not multiplied in)."""
        return pictures.image(self.images[index], self._size, self.channels)

    def mask(self, index: int) -> Bool[np.ndarray, 'h w']:
        """True where the photograph counts."""
        return pictures.mask(self.masks[index], self._size)

    def depth(self, index: int) -> Float32[np.ndarray, 'h w']:
        """Depth along the axis of the camera, in the world's unit; 0 where it is unknown."""
        return pictures.depth(self.depths[index], self._size) * np.float32(self.depth_unit)

    @property
    def _size(self):
        return self.cameras.width, self.cameras.height


def every_eighth(count: int) -> dict[str, Int[np.ndarray, 's']]:
    """The 1st, 9th, 17th ... photograph for testing, the others for training."""
    index = np.arange(count)
    return {'train': index[index % HOLD != 0], 'test': index[index % HOLD == 0]}


def divided(splits: dict[str, Int[np.ndarray, 's']], where: str) -> dict[str, Int[np.ndarray, 's']]:
    """The splits that hold any photograph; one of them must be for training."""
    splits = {name: index for name, index in splits.items() if len(index)}
    if 'train' not in splits:
        raise UserError(
            f'{where} has no photograph to train on (found: {", ".join(splits) or "none"}); '
            'a train split is needed'
        )
    return splits


def moved(capture: Capture, transform: Float[np.ndarray, '4 4']) -> Capture:
    """The same photographs in a world that is turned, shifted and scaled: x becomes transform x.

    What the cameras see stays the same. Depths, near and far are scaled too, and `transform` is
    composed with that of the capture.
    """
    transform = np.asarray(transform, np.float64)
    scale, rotation = _similarity(transform)
    pose = np.asarray(capture.cameras.pose, np.float64)
    turned = pose[:, :, :3] @ rotation.T
    shift = scale * pose[:, :, 3:] - turned @ transform[:3, 3:]
    points = capture.points
    if points is not None:
        points = points._replace(xyz=points.xyz @ transform[:3, :3].T + transform[:3, 3])
    return replace(
        capture,
        cameras=replace(capture.cameras, pose=np.concatenate([turned, shift], axis=2)),
        near=None if capture.near is None else scale * capture.near,
        far=None if capture.far is None else scale * capture.far,
        depth_unit=scale * capture.depth_unit,
        points=points,
        transform=transform @ capture.transform,
    )


def _similarity(transform):
    """(scale, rotation) of [scale rotation, shift]."""
    linear = transform[:3, :3]
    scale = np.cbrt(np.linalg.det(linear))
    rotation = linear / scale if scale > 0 else np.zeros((3, 3))
    affine = np.array_equal(transform[3], [0, 0, 0, 1])
    if not affine or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6):
        raise UserError(
            'the transform of a world must be a rotation, a shift and a positive scale, 4x4 with '
            f'0 0 0 1 in the last row, but is {transform.tolist()}'
        )
    return scale, rotation
