"""The Gaussians that training begins with (Kerbl et al. 2023, section 5.1)."""

import math

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, UInt8
from scipy.spatial import cKDTree

from jaxcv.cameras import Camera, placed, resized
from jaxcv.errors import UserError
from jaxcv.ops import sh
from jaxcv.splat.gaussians import Gaussians

NEIGHBORS = 3
CLOSEST = 1e-3  # of the median spacing: closer points count as so far apart
# Of points that are spread evenly, one in a unit of volume, the mean distance to the three nearest:
# the k-th has (3 / 4 pi)^(1/3) gamma(k + 1/3) / gamma(k).
EVEN = (3 / (4 * math.pi)) ** (1 / 3) * sum(
    math.gamma(k + 1 / 3) / math.gamma(k) for k in range(1, NEIGHBORS + 1)
) / NEIGHBORS  # fmt: skip


def spacing(points: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'n']:
    """The mean distance of each point to its 3 nearest neighbors, on the host: a tree of a million
    points is searched in seconds, all pairs are not."""
    count = len(points)
    if count <= NEIGHBORS:
        raise UserError(
            f'there are {count or "no"} initial points, but at least {NEIGHBORS + 1} are needed: '
            "give a capture with sparse points, or config.initial.name='random'"
        )
    points = np.asarray(points, np.float64)
    found = cKDTree(points).query(points, NEIGHBORS + 1, workers=-1)[0][:, 1:].mean(1)
    return np.maximum(found, max(CLOSEST * np.median(found), np.finfo(np.float32).tiny))


def balls(
    means: Float[Array, 'n 3'],
    colors: Float[Array, 'n 3'],
    scales: Float[Array, 'n'] | Float[Array, ''],
    *,
    opacity: float = 0.1,
    degree: int = 3,
) -> Gaussians:
    """Gaussians alike in all directions with these standard deviations. Colors in [0, 1] are the
    same from all sides, but there is room for spherical harmonics up to `degree`."""
    means, colors, scales = (jnp.asarray(x, jnp.float32) for x in (means, colors, scales))
    count = len(means)
    harmonics = jnp.zeros((count, sh.size(degree), 3)).at[:, 0].set((colors - 0.5) / sh.CONSTANT)
    return Gaussians(
        means=means,
        log_scales=jnp.broadcast_to(jnp.log(scales)[..., None], (count, 3)),
        rotations=jnp.broadcast_to(jnp.eye(4)[0], (count, 4)),
        opacity_logits=jnp.full(count, math.log(opacity / (1 - opacity)), jnp.float32),
        sh=harmonics,
    )


def scattered(
    keys: Key[Array, 'n'], low: Float[Array, '3'], high: Float[Array, '3']
) -> tuple[Float[Array, 'n 3'], Float[Array, '']]:
    """Points anywhere in a box, and how far apart neighbors are on average."""
    low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    draws = jax.vmap(lambda key: jax.random.uniform(key, (3,)))(keys)
    return low + (high - low) * draws, EVEN * (jnp.prod(high - low) / len(keys)) ** (1 / 3)


def hull(
    points: Float[Array, 'n 3'],
    cameras: Camera,
    images: UInt8[Array, 'b h w 4'],
    through: float = 0.0,
) -> tuple[Float[Array, 'n'], Float[Array, 'n 3']]:
    """What photographs with opacity say of points: the least opacity, in [0, 1], of the pixels that
    show a point, and their mean color.

    Where the first is 0 some camera sees through the point: it is outside of the visual hull. Of a
    scene that moves nothing would be left that is not always there: with `through` > 0 the first is
    the mean opacity, of which 1 - through is enough for a 1. The photographs may be smaller than
    those of the cameras.
    """
    cameras = resized(cameras, images.shape[2], images.shape[1])

    def look(found, view):
        least, color, weight, times = found
        camera, image = view
        row, column, _, within = placed(camera, points)
        rgba = image[row, column] / jnp.float32(255)
        opacity = jnp.where(within, rgba[:, 3], 0)
        least = jnp.where(within, jnp.minimum(least, opacity), least)
        color = color + opacity[:, None] * rgba[:, :3]
        return (least, color, weight + opacity, times + within), None

    count = len(points)
    start = jnp.ones(count), jnp.zeros((count, 3)), jnp.zeros(count), jnp.zeros(count)
    (least, color, weight, times), _ = jax.lax.scan(look, start, (cameras, jnp.asarray(images)))
    if through:
        least = jnp.minimum(weight / jnp.maximum(times, 1) / (1 - through), 1)
    return jnp.where(weight > 0, least, 0), color / jnp.maximum(weight, 1e-6)[:, None]


def inside(
    points: Float[Array, 'n 3'],
    colors: Float[Array, 'n 3'],
    opaque: Float[Array, 'n'],
    apart: Float[Array, ''],
    count: int,
) -> tuple[Float[Array, 'count 3'], Float[Array, 'count 3'], Float[Array, '']]:
    """The `count` most opaque of evenly spread points, their colors, and how far apart they are."""
    best = jnp.argsort(-opaque, stable=True)[:count]
    thinned = jnp.maximum((opaque > 0.5).sum() / count, 1)
    return points[best], colors[best], apart * thinned ** (1 / 3)
