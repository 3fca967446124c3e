"""Gaussians on the screen: the affine approximation of the camera around each center (EWA:
Zwicker et al. 2001).

The covariance there is Sigma' = F F^T + blur I with F = J R_camera M, where M M^T is the covariance
in the world and J the Jacobian of the camera's projection, whatever its model and lens. Instead of
its inverse we keep the inverse's triangular root, from the minors of F: so needles of any length
keep all their digits, which the usual a c - b² loses.
"""

from dataclasses import replace
from typing import NamedTuple, TypeVar

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera
from jaxcv.cameras.poses import rotated, transformed
from jaxcv.cameras.projection import project as project_points
from jaxcv.splat.covariance import factors
from jaxcv.splat.splats import Splats

BLUR = 0.3  # variance in pixels that every Gaussian is widened by (Kerbl et al. 2023)
FAINT = 1 / 255  # opacity below which nothing is drawn
MARGIN = 0.3  # of half the image's width: beyond it J stays what it is at the border
LARGEST = 1e8  # coordinates and scales beyond it, and what is not finite, are not seen
SMALLEST = 1e-12  # ratio of determinants from which on it counts as 0

S = TypeVar('S')


class Projected(NamedTuple):
    """n Gaussians on the screen.

    means      pixels (x, y)
    roots      (a, b, c): at a distance (x, y) from its mean a Gaussian is exp(-(u² + v²) / 2) with
               u = a x + b y, v = c y
    depths     z in the camera
    opacities  0: not seen
    """

    means: Float[Array, 'n 2']
    roots: Float[Array, 'n 3']
    depths: Float[Array, 'n']
    opacities: Float[Array, 'n']


def project(
    splats: Splats,
    camera: Camera,
    *,
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool = False,
) -> Projected:
    """How one camera sees splats between the planes z = near and z = far.

    antialiased  multiplies opacities by sqrt(det F F^T / det Sigma'), so that what is thinner than
                 a pixel fades rather than thickens (Yu et al. 2024, eq. 9)

    As in gsplat, J of a pinhole camera is taken at x/z and y/z clipped to 15% beyond the image,
    since the approximation explodes far outside of it.
    """
    points, splats = harmless(splats, camera, near, far)
    means, columns = _affine(camera, points)
    axes = factors(splats.rotations, splats.scales).swapaxes(-1, -2)
    axes = rotated(camera.pose[:, :3], axes)  # [n, axis, xyz]
    flat = sum(columns[i][:, None, :] * axes[:, :, i, None] for i in range(3))
    roots, ratio = root(flat[..., 0], flat[..., 1])
    opacities = splats.opacities
    if antialiased:
        opacities = opacities * jnp.sqrt(jnp.maximum(ratio, SMALLEST))
    return Projected(means, roots, points[:, 2], opacities)


def harmless(splats: S, camera: Camera, near: float, far: float) -> tuple[Float[Array, 'n 3'], S]:
    """Centers in the camera, and splats (or surfels) of which those not seen have opacity 0, and
    are somewhere harmless, so that their gradients are 0 rather than nan."""
    seen = splats.opacities >= FAINT
    for leaf in (splats.means, splats.scales, splats.rotations):
        seen &= (jnp.abs(leaf) < LARGEST).all(-1)
    points = transformed(camera.pose, jnp.where(seen[:, None], splats.means, 0))
    seen &= (points[:, 2] > near) & (points[:, 2] < far)
    points = jnp.where(seen[:, None], points, jnp.array([0, 0, 1], points.dtype))
    return points, splats._replace(
        scales=jnp.where(seen[:, None], splats.scales, 1),
        rotations=jnp.where(seen[:, None], splats.rotations, jnp.eye(4, dtype=points.dtype)[0]),
        opacities=jnp.where(seen, splats.opacities, 0),
    )


def root(
    x: Float[Array, '*b 3'], y: Float[Array, '*b 3'], blur: float = BLUR
) -> tuple[Float[Array, '*b 3'], Float[Array, '*b']]:
    """The triangular root (a, b, c) of the inverse of F F^T + blur I, where x and y are F's rows,
    and det F F^T / det(F F^T + blur I)."""
    xx, xy, yy = (x * x).sum(-1), (x * y).sum(-1), (y * y).sum(-1) + blur
    deviation = jnp.sqrt(yy)
    # det F F^T is the sum of F's squared minors (Cauchy-Binet): nothing cancels.
    minors = x * jnp.roll(y, -1, -1) - y * jnp.roll(x, -1, -1)
    sharp = jnp.square(minors / deviation[..., None]).sum(-1)
    blurred = sharp + blur * (xx + yy) / yy  # the variance of x where y is known
    a = jax.lax.rsqrt(blurred)
    return jnp.stack([a, -a * xy / yy, 1 / deviation], axis=-1), sharp / blurred


def _affine(camera, points):
    """Pixels of points in the camera, and the columns of J."""
    local = replace(camera, pose=jnp.eye(3, 4, dtype=points.dtype))
    means, _ = project_points(local, points)
    if camera.model == 'pinhole':
        points = _clipped(camera, points)
    pixels = lambda x: project_points(local, x)[0]  # noqa: E731
    along = jnp.eye(3, dtype=points.dtype)
    columns = [jax.jvp(pixels, (points,), (jnp.broadcast_to(e, points.shape),))[1] for e in along]
    return means, columns


def _clipped(camera, points):
    size = jnp.array([camera.width, camera.height], points.dtype)
    margin = MARGIN * size / 2
    low = (-camera.center - margin) / camera.focal
    high = (size - camera.center + margin) / camera.focal
    z = points[:, 2:]
    return jnp.concatenate([jnp.clip(points[:, :2] / z, low, high) * z, z], axis=-1)
