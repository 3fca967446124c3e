"""Where a person begins to look from: one of our cameras, or one that has the scene in view."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxcv.cameras import Camera, focal_length, look_at, make
from jaxcv.errors import UserError
from jaxcv.splat.gaussians import Gaussians

NEAR = 0.01  # as in `rasterize`
WIDTH, HEIGHT, ANGLE = 1280, 720, 0.9  # of the camera that has the scene in view
ELEVATION = 0.35  # radians
MOST = 90  # percent of the Gaussians that it has in view for sure


def start(
    gaussians: Gaussians, camera: Camera, up: Float[Array, '3'] | None = None
) -> dict[str, Any]:
    """The camera as the page has it, as JSON: what it turns about lies on its axis, as deep as the
    Gaussians in its image do in the median; `up` is the axis of the world that points most upward
    in its image, unless given. The page knows no lens: it is left out."""
    if camera.model == 'orthographic' or camera.pose.ndim != 2:
        raise UserError(
            f'the viewer begins with one camera in perspective, not with a camera of model '
            f'{camera.model!r} and shape {camera.pose.shape[:-2]}'
        )
    camera = jax.tree.map(np.asarray, camera)
    if up is None:
        upward = -camera.pose[1, :3]
        axis = np.abs(upward).argmax()
        up = np.sign(upward[axis]) * np.eye(3)[axis]
    up = np.asarray(up, np.float64)
    return {
        'pose': camera.pose.ravel().tolist(),
        'focal': camera.focal.tolist(),
        'center': camera.center.tolist(),
        'width': camera.width,
        'height': camera.height,
        'up': (up / np.linalg.norm(up)).tolist(),
        'distance': _distance(np.asarray(gaussians.means), camera),
    }


def framing(gaussians: Gaussians, up: Float[Array, '3']) -> Camera:
    """A camera that looks at the middle of the scene, from a little above it."""
    means, up = np.asarray(gaussians.means, np.float32), np.asarray(up, np.float32)
    middle = np.median(means, axis=0)
    radius = max(np.percentile(np.linalg.norm(means - middle, axis=1), MOST), 1e-3)
    up = up / np.linalg.norm(up)
    aside = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    way = np.cos(ELEVATION) * aside / np.linalg.norm(aside) + np.sin(ELEVATION) * up
    eye = middle + way * radius / np.sin(ANGLE / 2)
    return make(look_at(eye, middle, up), focal_length(ANGLE, HEIGHT), WIDTH, HEIGHT)


def _distance(means, camera):
    x, y, z = camera.pose[:, :3] @ means.T + camera.pose[:, 3:]
    front = z > NEAR
    pixels = camera.focal[:, None] * np.stack([x, y]) / np.where(front, z, 1)
    pixels += camera.center[:, None]
    size = np.array([[camera.width], [camera.height]])
    seen = z[front & (pixels > 0).all(0) & (pixels < size).all(0)]
    return float(np.median(seen)) if len(seen) else 1.0
