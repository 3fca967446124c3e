"""Colors of pixels from Gaussians front to back, and the exact gradient.

At a pixel, Gaussians k = 0, 1, ... have

    alpha   min(.99, opacity exp(-(u² + v²) / 2)), or 0 where that is below 1/255
    weight  alpha T where T, the product of 1 - alpha of those before, exceeds 1e-4; otherwise 0

and the pixel is the sum of weight times feature. The thresholds are part of the definition: they
are why it is enough to look at a tile's list, and to leave it early.

The gradient walks front to back too: what lies behind a Gaussian is the total less what came up to
it. Of the sums over pixels that it needs, all that concerns positions and shapes are six moments.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.rotations import PRECISION
from jaxcv.ops.rows import add_rows
from jaxcv.splat.projection import FAINT
from jaxcv.splat.tiles import Grid, Lists
from jaxcv.splat.walk import lanes, offsets, to_image, to_tiles, walk

OPAQUEST = 0.99
STOP = 1e-4  # transmittance at which a pixel is done
SHAPE = 6  # columns of the table before the features


class Screen(NamedTuple):
    """n Gaussians on the screen, as in `Projected`, with c features each."""

    means: Float[Array, 'n 2']
    roots: Float[Array, 'n 3']
    opacities: Float[Array, 'n']
    features: Float[Array, 'n c']


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def blend(
    screen: Screen, lists: Lists, grid: Grid
) -> tuple[Float[Array, 'height width c'], Float[Array, 'height width']]:
    """The sum of weight times feature, and the sum of weights, at every pixel."""
    return _forward(screen, lists, grid)[0]


def _forward(screen, lists, grid):
    table = _table(screen)
    groups, order = lanes(lists, grid, table.dtype)

    def render(group):
        def step(state, members, rows):
            colors, light = state
            weight = weighed(_alpha(rows, grid)[0], light)
            return colors + rows[:, SHAPE:, None] * weight[:, None], light - weight

        colors = jnp.zeros((len(group.starts), table.shape[1] - SHAPE, grid.size**2), table.dtype)
        start = colors, jnp.ones_like(colors[:, 0])
        return walk(step, start, busy, table, lists, group)

    colors, light = jax.lax.map(render, groups)
    alpha = to_image(1 - light[:, :, None], order, grid)[..., 0]
    return (to_image(colors, order, grid), alpha), (screen, lists, colors, light)


def _backward(grid, kept, gradients):
    screen, lists, colors, light = kept
    table = _table(screen)
    groups, order = lanes(lists, grid, table.dtype)
    to_colors = to_tiles(gradients[0], order, grid)
    to_alpha = to_tiles(gradients[1][..., None], order, grid)[:, :, 0]
    behind = (to_colors * colors).sum(2) + to_alpha * (1 - light)

    def gather(sums, parts):
        group, to_colors, to_alpha, behind = parts

        def step(state, members, rows):
            sums, behind, light = state
            alpha, free = _alpha(rows, grid)
            weight = weighed(alpha, light)
            own = weight * (dot(rows[:, SHAPE:], to_colors) + to_alpha)
            behind = behind - own
            # Of alpha's logarithm. Where nothing is drawn nothing has one.
            slope = jnp.where(free & (weight > 0), own - behind * alpha / (1 - alpha), 0)
            painted = summed(weight[:, None] * to_colors)
            found = jnp.concatenate([_moments(slope, rows, grid), painted], axis=-1)
            return add_rows(sums, members, found), behind, light - weight

        start = sums, behind, jnp.ones_like(behind)
        return walk(step, start, busy, table, lists, group)[0], None

    parts = groups, to_colors, to_alpha, behind
    sums, _ = jax.lax.scan(gather, jnp.zeros_like(table), parts)
    return _gradient(table[:-1], sums[:-1]), None


blend.defvjp(_forward, _backward)


def _table(screen):
    """What pixels read, in one row: the mean, the root of the exponent, opacity and features. The
    last row is of a Gaussian that is not there."""
    roots = screen.roots * 0.5**0.5
    columns = screen.means, roots, screen.opacities[:, None], screen.features
    return jnp.pad(jnp.concatenate(columns, axis=-1), ((0, 1), (0, 0)))


def busy(state):
    return state[-1].max(-1) > STOP


def summed(x):
    """Over pixels, as a product with ones: XLA's own sums are not vectorized."""
    return jnp.matmul(x, np.ones(x.shape[-1], x.dtype), precision=PRECISION)


def dot(features, images):
    """[lanes c] and [lanes c pixels], summed over c: one by one, for the same reason."""
    return sum(features[:, i, None] * images[:, i] for i in range(features.shape[1]))


def _alpha(rows, grid):
    """alpha [lanes pixels], and where it is opacity times the Gaussian rather than a bound."""
    x, y = offsets(grid, rows.dtype)
    mean_x, mean_y, a, b, c, opacity = (rows[:, i, None] for i in range(SHAPE))
    u = a * x + b * y - (a * mean_x + b * mean_y)
    v = c * y - c * mean_y
    alpha = opacity * jnp.exp(-(u * u + v * v))
    return jnp.where(alpha >= FAINT, jnp.minimum(alpha, OPAQUEST), 0), alpha < OPAQUEST


def weighed(alpha, light):
    return jnp.where(light > STOP, alpha * light, 0)


def _moments(slope, rows, grid):
    """Sums over a tile's pixels of the slope times 1, u, v, uu, uv, vv: unlike sums of the powers
    of x and y, they mean the same in every tile, and they stay small."""
    x, y = offsets(grid, rows.dtype)
    powers = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    one, x, y, xx, xy, yy = jnp.matmul(slope, powers, precision=PRECISION).T
    mean_x, mean_y, a, b, c = (rows[:, i] for i in range(5))
    u, v = -(a * mean_x + b * mean_y), -c * mean_y  # in the middle of the tile
    along = a * x + b * y  # the sum of u's linear part
    return jnp.stack(
        [
            one,
            u * one + along,
            v * one + c * y,
            u * (u * one + 2 * along) + a * (a * xx + 2 * b * xy) + b * b * yy,
            v * (u * one + along) + c * (u * y + a * xy + b * yy),
            v * (v * one + 2 * c * y) + c * c * yy,
        ],
        axis=-1,
    )


def _gradient(table, sums):
    """With respect to the screen, from the sums over all pixels."""
    a, b, c, opacity = (table[:, i] for i in range(2, SHAPE))
    one, u, v, uu, uv, vv = (sums[:, i] for i in range(SHAPE))
    means = jnp.stack([2 * a * u, 2 * (b * u + c * v)], axis=-1)
    # The distances that multiply u and v are (u - b y) / a and y = v / c.
    roots = jnp.stack([(uu - b / c * uv) / a, uv / c, vv / c], axis=-1) * -(2**0.5)
    opacities = one / jnp.where(opacity > 0, opacity, 1)
    return Screen(means, roots, opacities, sums[:, SHAPE:])
