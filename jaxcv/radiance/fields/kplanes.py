"""K-planes: space as 3 planes, space-time as 6, whose features are multiplied
(Fridovich-Keil et al. 2023)."""

import math

from flax import linen
from jax import numpy as jnp

from jaxcv.radiance.fields.decoded import DecodedField
from jaxcv.radiance.fields.field import given
from jaxcv.radiance.fields.planes import (
    SPACE,
    TIME,
    plane_variation,
    project,
    time_smoothness,
    time_sparsity,
)


class KPlanesField(DecodedField):
    """Planes at several scales of `cells`, and with `time_cells` > 0 those of time, for which the
    condition has a time: parameters `scale0_plane01` and so on, 3 being the axis of time.

    Planes of time start at 1, where they leave what does not move alone."""

    cells: tuple[int, ...] = (64, 128, 256, 512)
    time_cells: int = 0
    features: int = 16

    def setup(self):
        super().setup()
        self.axes = SPACE + TIME if self.time_cells else SPACE
        self.planes = [
            [self.plane(scale, axes) for axes in self.axes] for scale in range(len(self.cells))
        ]

    def plane(self, scale, axes):
        counts = [self.time_cells if axis == 3 else self.cells[scale] for axis in axes]
        shape = counts[0] + 1, counts[1] + 1, self.features
        init = linen.initializers.ones if axes in TIME else positive
        return self.param(f'scale{scale}_plane{axes[0]}{axes[1]}', init, shape)

    def encode(self, positions, condition):
        if self.time_cells:
            time = given(condition, 'time', 'a field of space and time')
            positions = jnp.concatenate([positions, 2 * time[:, None] - 1], -1)
        found = []
        for planes in self.planes:
            pairs = zip(planes, self.axes, strict=True)
            found.append(math.prod(project(plane, positions, axes) for plane, axes in pairs))
        return jnp.concatenate(found, -1)

    def penalties(self, key):
        """Summed over planes: variation in space, and of those of time smoothness and sparsity."""
        space = [plane for scale in self.planes for plane in scale[: len(SPACE)]]
        time = [plane for scale in self.planes for plane in scale[len(SPACE) :]]
        found = {'variation': sum(map(plane_variation, space))}
        if time:
            found['variation'] += sum(plane_variation(plane, (0,)) for plane in time)
            found['smoothness'] = sum(map(time_smoothness, time))
            found['sparsity'] = sum(map(time_sparsity, time))
        return found


def positive(key, shape, dtype=jnp.float32):
    """Uniform from 0.1 to 0.5, as in the authors' code."""
    return linen.initializers.uniform(0.4)(key, shape, dtype) + 0.1
