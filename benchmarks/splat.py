"""Splats: images of 10,000 at 256x256 and of 100,000 at 400x400, without and with the gradient,
against a loop over tiles in torch. A GPU has no peer here."""

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks import torch_splat
from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from jaxcv.cameras.camera import make
from jaxcv.cameras.poses import look_at
from jaxcv.splat import Splats, rasterize

CLOSE = 1e-3  # mean difference of colors: both sides draw the same


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


def ours(splats, camera, capacity):
    """Two calls, the image and the image with the gradient of all splats; and what is seen."""

    def image(splats):
        return rasterize(splats, camera, capacity=capacity)

    forward = jax.jit(image)
    both = jax.jit(jax.value_and_grad(lambda splats: jnp.square(image(splats).color).sum()))
    seen = forward(splats)
    assert seen.overflow == 0
    return [lambda: forward(splats).color, lambda: both(splats)], seen


def theirs(splats, camera):
    """The same in torch."""
    import torch

    torch.set_num_threads(2)
    splats = torch_splat.tensors(splats)
    eye = [torch.tensor(np.asarray(x)) for x in (camera.pose, camera.focal, camera.center)]

    def image():
        return torch_splat.rasterize(splats, *eye, camera.width, camera.height)[0]

    def forward():
        with torch.no_grad():
            return image().numpy()

    def both():
        return torch.autograd.grad(image().square().sum(), splats)

    return [forward, both]


def measured(name, count, side, scale, capacity, repeats=10):
    """The image, and the image with the gradient of all splats."""
    splats = scene(count, scale)
    pose = look_at(*np.float32([[0, 0, -3.5], [0, 0, 0], [0, -1, 0]]))
    camera = make(pose, 1.2 * side, side, side)
    calls, seen = ours(splats, camera, capacity)
    if jax.default_backend() != 'gpu' and torch_splat.installed():
        peers = theirs(splats, camera)
        assert np.abs(np.asarray(calls[0]()) - peers[0]()).mean() < CLOSE
        calls += peers
    alone, together, *others = alternate(*calls, repeats=repeats, pause=0.2)
    others = others or [None, None]
    detail = {'mean_alpha': float(seen.alpha.mean()), 'pairs': int(seen.pairs)}
    return [
        record(name, alone, others[0], torch_splat.NAME, detail),
        record(f'{name}_gradient', together, others[1], torch_splat.NAME, detail),
    ]


def splats_10k():
    return measured('splats_10k', 10_000, 256, 0.02, 1 << 16)


def splats_100k():
    return measured('splats_100k', 100_000, 400, 0.01, 1 << 19)


CASES = [Case(splats_10k), Case(splats_100k)]
