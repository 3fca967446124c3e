"""Pictures that were rendered, as a capture."""

from pathlib import Path

import jax
import numpy as np
from PIL import Image

from jaxcv.cameras import Camera
from jaxcv.cameras.view import View
from jaxcv.data.captures.capture import Capture, every_eighth

LEVELS = 2**16 - 1  # of depth


def stored(folder: Path, views: View, cameras: Camera) -> Capture:
    """n views [n h w] in `images/` (8 bits, with opacity) and `depths/` (16 bits) of a folder."""
    step = max(float(views.depth.max()), 1e-6) / LEVELS
    images, depths = [], []
    for name in ('images', 'depths'):
        (folder / name).mkdir(parents=True)
    seen = zip(views.color, views.opacity, np.asarray(views.surface), strict=True)
    for i, (color, opacity, depth) in enumerate(seen):
        straight = color / np.maximum(opacity, 1e-3)[..., None]
        rgba = np.concatenate([straight, opacity[..., None]], axis=-1).clip(0, 1)
        images.append(folder / 'images' / f'{i:05}.png')
        depths.append(folder / 'depths' / f'{i:05}.png')
        Image.fromarray(np.rint(255 * rgba).astype(np.uint8)).save(images[-1])
        Image.fromarray(np.rint(depth / step).astype(np.uint16)).save(depths[-1])
    return Capture(
        cameras=jax.tree.map(lambda x: np.asarray(x, np.float64), cameras),
        images=tuple(images),
        channels=4,
        splits=every_eighth(len(images)),
        depths=tuple(depths),
        depth_unit=step,
    )
