"""Plenoxels: densities and spherical harmonics on a dense grid, no network (Fridovich-Keil et al.
2022)."""

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.ops import sh
from jaxcv.ops.rows import take_rows
from jaxcv.radiance.fields.field import Condition, Field, Radiance, activate
from jaxcv.radiance.fields.grid import interpolate


class VoxelField(Field):
    """Grids of `cells`^3 cells, so cells + 1 nodes along each axis: `density` [x y z 1] and
    `harmonics` [x y z 3k], the k coefficients of red, then of green, then of blue. They can grow to
    `finest`^3 cells, by 2 at a time."""

    cells: int = 128
    degree: int = 2
    activation: str = 'relu'
    finest: int = 0

    def setup(self):
        self.raw = self.grid('density', linen.initializers.constant(0.1), 1)
        self.harmonics = self.grid('harmonics', linen.initializers.zeros, 3 * sh.size(self.degree))

    def grid(self, name, init, channels):
        if self.has_variable('params', name):  # of any size: it may have grown
            return self.get_variable('params', name)
        return self.param(name, init, (*(self.cells + 1,) * 3, channels))

    def __call__(
        self,
        positions: Float[Array, 'n 3'],
        directions: Float[Array, 'n 3'],
        condition: Condition | None = None,
    ) -> Radiance:
        found = self.at(self.harmonics, positions).reshape(len(positions), 3, -1)
        color = sh.evaluate(found.swapaxes(1, 2), directions)
        return Radiance(self.density(positions), jax.nn.sigmoid(color))

    def density(
        self, positions: Float[Array, 'n 3'], condition: Condition | None = None
    ) -> Float[Array, 'n']:
        """Of the same places, without color."""
        return activate(self.at(self.raw, positions)[:, 0], self.activation)

    def at(self, grid, positions):
        cells = tuple(nodes - 1 for nodes in grid.shape[:3])
        return interpolate(grid.reshape(-1, grid.shape[-1]), positions, cells)

    def penalties(self, key):
        """Total variation over a hundredth of the cells, of each grid."""
        keys = jax.random.split(key, max(self.raw.size // 100, 1))
        return {
            'variation': total_variation(self.raw, keys),
            'color_variation': total_variation(self.harmonics, keys),
        }

    @linen.nowrap
    def grown(self, params):
        nodes = len(params['params']['density'])
        if 2 * (nodes - 1) > self.finest:
            return params
        return jax.tree.map(lambda grid: upsample(grid, 2), params)


def upsample(
    grid: Float[Array, 'x y z c'], factor: int
) -> Float[Array, 'factor*(x-1)+1 factor*(y-1)+1 factor*(z-1)+1 c']:
    """The same function on cells divided by `factor` along each axis. The parameters of a field of
    `cells` become those of one of factor * cells."""
    for axis in range(3):
        places = jnp.arange(factor * (grid.shape[axis] - 1) + 1)
        low = jnp.minimum(places // factor, grid.shape[axis] - 2)
        share = ((places - factor * low) / factor).astype(grid.dtype)
        share = share.reshape(-1, *(1,) * (3 - axis))
        below, above = (jnp.take(grid, low + i, axis) for i in (0, 1))
        grid = below + share * (above - below)
    return grid


def total_variation(grid: Float[Array, 'x y z c'], keys: Key[Array, 'm']) -> Float[Array, '']:
    """Mean over random cells, one per key, of the length of the differences from a node to the next
    along each axis, summed over channels (eq. 3); in units of a grid of 256 cells."""
    *axes, channels = grid.shape
    cells = jnp.asarray(axes) - 1
    node = jax.vmap(lambda key: jax.random.randint(key, (3,), 0, cells))(keys)
    strides = jnp.asarray([axes[1] * axes[2], axes[2], 1])
    table, here = grid.reshape(-1, channels), node @ strides
    value = take_rows(table, here)
    differences = [take_rows(table, here + strides[i]) - value for i in range(3)]
    squares = sum(jnp.square(d * cells[i] / 256) for i, d in enumerate(differences))
    # The root has no slope at 0, where all differences are none.
    lengths = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
    return lengths.sum(-1).mean()
