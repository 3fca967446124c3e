"""Sums over the surfels of every pixel, front to back, and the exact gradient.

As in `jaxcv.splat.blend`, but for what a pixel sees of one: alpha is that of the place where its
ray meets the disk, or of a point at the disk's center if that is nearer on the screen (Huang et al.
2024, eq. 11), and so is the depth. Autodiff of a step gives the gradient of these; its sums over
pixels are products of matrices, since all that varies over pixels is linear in x and y first.
"""

import functools

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.rotations import PRECISION
from jaxcv.ops.rows import add_rows
from jaxcv.splat.blend import OPAQUEST, busy, dot, summed, weighed
from jaxcv.splat.projection import FAINT
from jaxcv.splat.surfels.projection import POINT, Disks
from jaxcv.splat.tiles import Grid, Lists
from jaxcv.splat.walk import lanes, offsets, to_image, to_tiles, walk

SHAPE = 10  # columns of the table before the features
BEYOND = 1e-4  # a disk's depth over that of a place on it, below which it is not seen


def table(disks: Disks, colors: Float[Array, 'n c']) -> Float[Array, 'n+1 13+c']:
    """What pixels read, in one row: the mean, the map, depth, opacity; then features: the normal
    and the colors. The last row is of a surfel that is not there."""
    maps = disks.maps.reshape(-1, 6)
    single = disks.depths[:, None], disks.opacities[:, None]
    rows = jnp.concatenate([disks.means, maps, *single, disks.normals, colors], axis=-1)
    return jnp.pad(rows, ((0, 1), (0, 0)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def blend(
    table: Float[Array, 'n+1 10+c'], lists: Lists, grid: Grid, near: float
) -> tuple[Float[Array, 'height width 1+c'], Float[Array, 'height width']]:
    """The sums of weight times depth and times features, and the sum of weights, at every pixel."""
    return _forward(table, lists, grid, near)[0]


def _forward(table, lists, grid, near):
    groups, order = lanes(lists, grid, table.dtype)

    def render(group):
        def step(state, members, rows):
            depths, features, light = state
            alpha, depth = _met(rows[:, :SHAPE], grid, near)
            weight = weighed(alpha, light)
            features = features + rows[:, SHAPE:, None] * weight[:, None]
            return depths + weight * depth, features, light - weight

        features = jnp.zeros((len(group.starts), table.shape[1] - SHAPE, grid.size**2), table.dtype)
        start = features[:, 0], features, jnp.ones_like(features[:, 0])
        return walk(step, start, busy, table, lists, group)

    depths, features, light = jax.lax.map(render, groups)
    sums = jnp.concatenate([depths[:, :, None], features], axis=2)
    alpha = to_image(1 - light[:, :, None], order, grid)[..., 0]
    return (to_image(sums, order, grid), alpha), (table, lists, sums, light)


def _backward(grid, near, kept, gradients):
    table, lists, sums, light = kept
    groups, order = lanes(lists, grid, table.dtype)
    to_sums = to_tiles(gradients[0], order, grid)
    to_alpha = to_tiles(gradients[1][..., None], order, grid)[:, :, 0]
    behind = (to_sums * sums).sum(2) + to_alpha * (1 - light)

    def gather(found, parts):
        group, to_sums, to_alpha, behind = parts
        to_depth, to_features = to_sums[:, 0], to_sums[:, 1:]

        def step(state, members, rows):
            found, behind, light = state
            met = functools.partial(_met, grid=grid, near=near)
            (alpha, depth), pull = jax.vjp(met, rows[:, :SHAPE])
            weight = weighed(alpha, light)
            own = dot(rows[:, SHAPE:], to_features) + depth * to_depth + to_alpha
            behind = behind - weight * own
            slope = jnp.where(weight > 0, light * own - behind / (1 - alpha), 0)
            (shape,) = pull((slope, weight * to_depth))
            painted = summed(weight[:, None] * to_features)
            rows = jnp.concatenate([shape, painted], axis=-1)
            return add_rows(found, members, rows), behind, light - weight

        start = found, behind, jnp.ones_like(behind)
        return walk(step, start, busy, table, lists, group)[0], None

    parts = groups, to_sums, to_alpha, behind
    return jax.lax.scan(gather, jnp.zeros_like(table), parts)[0], None


blend.defvjp(_forward, _backward)


def _met(rows, grid, near):
    """alpha and depth [lanes pixels]."""
    x, y = offsets(grid, rows.dtype)
    mean, depth, opacity = rows[:, :2], rows[:, 8, None], rows[:, 9, None]
    # U d, V d, 1 + W d, and d itself in standard deviations of a point.
    both = np.broadcast_to(np.eye(2, dtype=rows.dtype) * POINT**-0.5, (len(rows), 2, 2))
    slopes = jnp.concatenate([rows[:, 2:8].reshape(-1, 3, 2), both], axis=1)
    origin = np.array([0, 0, 1, 0, 0], rows.dtype) - (slopes * mean[:, None]).sum(-1)
    linear = jnp.concatenate([origin[..., None], slopes], axis=-1)
    powers = np.stack([np.ones_like(x), x, y])
    u, v, w, right, down = jnp.moveaxis(jnp.matmul(linear, powers, precision=PRECISION), 1, 0)
    met = (w > BEYOND) & (near * w < depth)
    met &= u * u + v * v <= (right * right + down * down) * w * w
    w = jnp.where(met, w, 1)
    u, v = jnp.where(met, u, right) / w, jnp.where(met, v, down) / w
    alpha = opacity * jnp.exp(-(u * u + v * v) / 2)
    return jnp.where(alpha >= FAINT, jnp.minimum(alpha, OPAQUEST), 0), depth / w
