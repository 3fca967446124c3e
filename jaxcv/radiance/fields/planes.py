"""Features on planes through a box, and what keeps them smooth.

A plane is an array [i j f] over two of the axes (x, y, z, t) of [-1, 1]^4, in that order. Products
of planes, and the regularizers, are those of K-planes (Fridovich-Keil et al. 2023).
"""

import math

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.radiance.fields.grid import interpolate

SPACE = ((0, 1), (0, 2), (1, 2))
TIME = ((0, 3), (1, 3), (2, 3))


class Planes(linen.Module):
    """At each scale of `cells` the product of the features of the 3 planes of space, and with
    `time_cells` > 0 of the 3 of space and time: parameters `scale0_plane01` and so on, 3 being the
    axis of time.

    Planes of space start anywhere in the range `start`, by default that of the authors' code, and
    those of time at 1, where they leave what does not move alone."""

    cells: tuple[int, ...]
    time_cells: int = 0
    features: int = 16
    start: tuple[float, float] = (0.1, 0.5)

    def setup(self):
        axes = SPACE + TIME if self.time_cells else SPACE
        scales = range(len(self.cells))
        self.planes = [[self.plane(scale, each) for each in axes] for scale in scales]

    def plane(self, scale, axes):
        counts = [self.time_cells if axis == 3 else self.cells[scale] for axis in axes]
        shape = counts[0] + 1, counts[1] + 1, self.features
        init = linen.initializers.ones if axes in TIME else self.anywhere
        return self.param(f'scale{scale}_plane{axes[0]}{axes[1]}', init, shape)

    def anywhere(self, key, shape):
        return jax.random.uniform(key, shape, minval=self.start[0], maxval=self.start[1])

    def __call__(
        self, positions: Float[Array, 'n 3'], time: Float[Array, '*n'] | None = None
    ) -> Float[Array, 'n c']:
        """c = scales x features, at places in [-1, 1]^3 and times in [0, 1]: of each place one, or
        one of all."""
        # What does not depend on time is looked up once for all times that are mapped over.
        found = [multiplied(scale[: len(SPACE)], positions, SPACE) for scale in self.planes]
        if self.time_cells:
            time = jnp.broadcast_to(2 * time - 1, len(positions))
            places = jnp.concatenate([positions, time[:, None]], -1)
            then = [multiplied(scale[len(SPACE) :], places, TIME) for scale in self.planes]
            found = [x * y for x, y in zip(found, then, strict=True)]
        return jnp.concatenate(found, -1)

    def penalties(self) -> dict[str, Float[Array, '']]:
        """Summed over planes: variation in space, and of those of time smoothness and sparsity."""
        space = [plane for scale in self.planes for plane in scale[: len(SPACE)]]
        time = [plane for scale in self.planes for plane in scale[len(SPACE) :]]
        found = {'variation': sum(map(plane_variation, space))}
        if time:
            found['variation'] += sum(plane_variation(plane, (0,)) for plane in time)
            found['smoothness'] = sum(map(time_smoothness, time))
            found['sparsity'] = sum(map(time_sparsity, time))
        return found


def multiplied(planes, positions, axes):
    pairs = zip(planes, axes, strict=True)
    return math.prod(project(plane, positions, each) for plane, each in pairs)


def project(
    plane: Float[Array, 'i j f'], positions: Float[Array, 'n d'], axes: tuple[int, int]
) -> Float[Array, 'n f']:
    """The plane's features at positions of which it sees two axes."""
    cells = plane.shape[0] - 1, plane.shape[1] - 1
    return interpolate(plane.reshape(-1, plane.shape[-1]), positions[:, jnp.array(axes)], cells)


def plane_variation(
    plane: Float[Array, 'i j f'], along: tuple[int, ...] = (0, 1)
) -> Float[Array, '']:
    """Mean square of the differences between neighbors, summed over the axes `along` which."""
    return sum(jnp.square(jnp.diff(plane, axis=axis)).mean() for axis in along)


def time_smoothness(plane: Float[Array, 'i t f']) -> Float[Array, '']:
    """Mean square of the second differences in time; there must be 3 nodes in time."""
    return jnp.square(jnp.diff(plane, n=2, axis=1)).mean()


def time_sparsity(plane: Float[Array, 'i t f']) -> Float[Array, '']:
    """Mean distance from 1, at which a plane of time leaves the static scene alone."""
    return jnp.abs(1 - plane).mean()
