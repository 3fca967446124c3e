"""The definition of a rendering, by brute force: every Gaussian at every pixel, differentiated by
autodiff. In float64, within `jax.enable_x64(True)`. Also scenes to try it on."""

import jax
import numpy as np
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from jaxcv.cameras.camera import Camera
from jaxcv.splat.splats import Splats

BLUR, FAINT, OPAQUEST, STOP, NEAR = 0.3, 1 / 255, 0.99, 1e-4, 0.01


def rotation(q):
    w, x, y, z = jnp.moveaxis(q / jnp.sqrt((q * q).sum(-1, keepdims=True)), -1, 0)
    # Rodrigues: 1 + 2 w [v] + 2 [v]².
    zero = jnp.zeros_like(w)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    return jnp.eye(3) + 2 * w[:, None, None] * cross + 2 * cross @ cross


def pixels(camera, point):
    """One point of the camera, by the models' definitions."""
    x, y, z = point
    if camera.model == 'orthographic':
        image = jnp.stack([x, y])
    elif camera.model == 'fisheye':
        radius = jnp.sqrt(x * x + y * y)
        image = jnp.arctan2(radius, z) / radius * jnp.stack([x, y])
    else:
        image = jnp.stack([x, y]) / z
    return image * camera.focal + camera.center


def jacobian(camera, point):
    """Of the pixels; a pinhole camera's is clipped to 15% beyond the image."""
    if camera.model == 'pinhole':
        size = jnp.array([camera.width, camera.height])
        low = (-camera.center - 0.15 * size) / camera.focal
        high = (1.15 * size - camera.center) / camera.focal
        point = jnp.append(jnp.clip(point[:2] / point[2], low, high), 1) * point[2]
    return jax.jacfwd(lambda point: pixels(camera, point))(point)


def project(splats, camera, antialiased=False):
    """Means, covariances, depths, opacities on the screen."""
    points = splats.means @ camera.pose[:, :3].T + camera.pose[:, 3]
    seen = (points[:, 2] > NEAR) & (splats.opacities >= FAINT)
    points = jnp.where(seen[:, None], points, jnp.array([0.1, 0, 1]))
    turned = rotation(splats.rotations)
    world = turned @ (splats.scales[:, :, None] ** 2 * turned.swapaxes(1, 2))
    affine = jax.vmap(lambda p: jacobian(camera, p))(points) @ camera.pose[:, :3]
    flat = affine @ world @ affine.swapaxes(1, 2)
    blurred = flat + BLUR * jnp.eye(2)
    opacities = jnp.where(seen, splats.opacities, 0)
    if antialiased:
        ratio = jnp.linalg.det(flat) / jnp.linalg.det(blurred)
        opacities = opacities * jnp.sqrt(jnp.maximum(ratio, 1e-12))
    means = jax.vmap(lambda p: pixels(camera, p))(points)
    return means, blurred, points[:, 2], opacities


def render(splats, camera, background=0.0, antialiased=False):
    """(color, alpha, depth, sure): `sure` are pixels at which no threshold is near."""
    means, covariances, depths, opacities = project(splats, camera, antialiased)
    order = jnp.argsort(jnp.where(opacities > 0, depths, jnp.inf), stable=True)
    means, depths, opacities = means[order], depths[order], opacities[order]
    inverse = jnp.linalg.inv(covariances)[order]
    x, y = jnp.meshgrid(jnp.arange(camera.width) + 0.5, jnp.arange(camera.height) + 0.5)
    apart = jnp.stack([x, y], -1) - means[:, None, None]
    power = jnp.einsum('nhwi,nij,nhwj->nhw', apart, inverse, apart)
    raw = opacities[:, None, None] * jnp.exp(-power / 2)
    alphas = jnp.where(raw >= FAINT, jnp.minimum(raw, OPAQUEST), 0)
    light = jnp.cumprod(1 - alphas, 0)
    before = jnp.concatenate([jnp.ones_like(light[:1]), light[:-1]])
    weights = jnp.where(before > STOP, alphas * before, 0)
    near = lambda x, bound, width: (jnp.abs(x / bound - 1) < width).any(0)  # noqa: E731
    unsure = near(raw, FAINT, 1e-3) | near(raw, OPAQUEST, 1e-3) | near(before, STOP, 1e-2)
    colors = splats.colors[order]
    color = jnp.einsum('nhw,nc->hwc', weights, colors)
    alpha = weights.sum(0)
    depth = jnp.einsum('nhw,n->hw', weights, depths)
    return color + (1 - alpha)[..., None] * background, alpha, depth, ~unsure


# Scenes


def camera(width=45, height=35, model='pinhole', seed=0, distance=3.0):
    """In numpy: near the origin's negative z axis, slightly turned."""
    generator = np.random.default_rng(seed)
    turned = Rotation.from_rotvec(0.1 * generator.normal(size=3)).as_matrix()
    pose = np.concatenate([turned, [[0.1], [-0.1], [distance]]], 1)
    focal = np.array([1.2, 1.3]) * width / (distance if model == 'orthographic' else 1)
    center = np.array([width / 2 + 1.7, height / 2 - 2.3])
    return Camera(pose, focal, center, np.zeros(0), width, height, model)


def scene(kind='mixed', count=40, channels=3, seed=0):
    """In numpy, float64."""
    draw = np.random.default_rng(seed)
    splats = Splats(
        means=draw.uniform(-1, 1, (count, 3)),
        rotations=draw.normal(size=(count, 4)) * draw.uniform(0.1, 10, (count, 1)),
        scales=np.exp(draw.uniform(-5, -1, (count, 3))),
        opacities=draw.uniform(0.02, 0.95, count),
        colors=draw.uniform(size=(count, channels)),
    )
    if kind == 'behind':
        splats.means[::2, 2] -= 5
    elif kind == 'near':  # around the near plane of a camera 3 away, and at the eye
        splats.means[:, :2] *= 0.01
        splats.means[:, 2] = -3 + NEAR * draw.uniform(-1, 20, count)
        splats.scales[:] *= 0.02
    elif kind == 'huge':
        splats.scales[:] = np.exp(draw.uniform(0, 6, (count, 3)))
        splats.opacities[:] *= 0.3
    elif kind == 'needles':
        splats.scales[:] = [1e-7, 1e-5, 3.0]
    elif kind == 'extremes':
        splats.opacities[: count // 2] = np.tile([0, 1], count)[: count // 2]
        splats.scales[-10:] = 0
    elif kind == 'crowd':
        splats.means[:, :2] = [0.05, 0.02] + 1e-3 * splats.means[:, :2]
        splats.means[:, 2] = draw.permutation(np.linspace(-0.1, 0.1, count))  # no two alike
        splats.scales[:] *= 0.1
        splats.opacities[:] = draw.uniform(0.004, 0.05, count)
    elif kind == 'equal':  # depths
        splats.means[:, 2] = 0
    return splats


KINDS = ('mixed', 'behind', 'near', 'huge', 'needles', 'extremes', 'crowd', 'equal')
