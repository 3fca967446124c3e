"""Splats: images of 10,000 at 256x256 and of 100,000 at 400x400, without and with the gradient.

There is no peer: other rasterizers need a GPU.
"""

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from jaxcv.cameras.camera import make
from jaxcv.cameras.poses import look_at
from jaxcv.splat import Splats, rasterize


def scene(count, scale):
    """Splats of all shapes in a cube of side 2."""
    draw = np.random.default_rng(0)
    splats = Splats(
        means=draw.uniform(-1, 1, (count, 3)),
        rotations=draw.normal(size=(count, 4)),
        scales=scale * np.exp(draw.normal(size=(count, 3)) / 2),
        opacities=draw.uniform(0.05, 0.95, count),
        colors=draw.uniform(size=(count, 3)),
    )
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), splats)


def measured(name, count, side, scale, capacity):
    """The image, and the image with the gradient of all splats."""
    splats = scene(count, scale)
    pose = look_at(*np.float32([[0, 0, -3.5], [0, 0, 0], [0, -1, 0]]))
    camera = make(pose, 1.2 * side, side, side)

    def image(splats):
        return rasterize(splats, camera, capacity=capacity)

    forward = jax.jit(image)
    both = jax.jit(jax.value_and_grad(lambda splats: jnp.square(image(splats).color).sum()))
    seen = forward(splats)
    assert seen.overflow == 0
    alone, together = alternate(lambda: forward(splats).color, lambda: both(splats), repeats=20)
    detail = {'mean_alpha': float(seen.alpha.mean())}
    times = {name: alone, f'{name}_gradient': together}
    return [record(name, time, None, 'none on CPU', detail) for name, time in times.items()]


def splats_10k():
    return measured('splats_10k', 10_000, 256, 0.02, 1 << 16)


def splats_100k():
    return measured('splats_100k', 100_000, 400, 0.01, 1 << 19)


CASES = [Case(splats_10k), Case(splats_100k)]
