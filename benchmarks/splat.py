"""Splats: images of 10,000 at 256x256 and of 100,000 at 400x400, without and with the gradient,
against a loop over tiles in torch (a GPU has no peer here); how both grow from 10,000 to a million;
and a step of training of a million at 1920x1080, with the memory that it takes."""

from functools import partial

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks import torch_splat
from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from experiments import splat
from jaxcv.cameras.camera import make
from jaxcv.cameras.poses import look_at
from jaxcv.cameras.uncertain import Poses, uncertain
from jaxcv.data.captures import Frames
from jaxcv.splat import Splats, rasterize, rates
from jaxcv.splat.beside import Beside
from jaxcv.splat.deformation import Nothing, still
from jaxcv.splat.initial import balls
from jaxcv.splat.objective import Objective
from jaxcv.splat.population import populated
from jaxcv.splat.rates import Rates
from jaxcv.splat.scene import Drawing
from jaxcv.splat.state import started
from jaxcv.train import Optim
from jaxcv.train.optimize import optimizer

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


def ours(splats, camera):
    """Two calls, the image and the image with the gradient of all splats; and what is seen."""
    capacity = enough(splats, camera)

    def image(splats):
        return rasterize(splats, camera, capacity=capacity)

    forward = jax.jit(image)
    both = jax.jit(jax.value_and_grad(lambda splats: jnp.square(image(splats).color).sum()))
    return [lambda: forward(splats).color, lambda: both(splats)], forward(splats)


def enough(splats, camera) -> int:
    """The power of two that is room enough."""
    capacity = 1 << 16
    while jax.jit(partial(rasterize, capacity=capacity))(splats, camera).overflow:
        capacity *= 2
    return capacity


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


def view(width, height):
    """The cube from the front."""
    pose = look_at(*np.float32([[0, 0, -3.5], [0, 0, 0], [0, -1, 0]]))
    return make(pose, 1.2 * height, width, height)


def measured(name, count, side, scale):
    """The image, and the image with the gradient of all splats."""
    splats, camera = scene(count, scale), view(side, side)
    calls, seen = ours(splats, camera)
    if jax.default_backend() != 'gpu' and torch_splat.installed():
        peers = theirs(splats, camera)
        assert np.abs(np.asarray(calls[0]()) - peers[0]()).mean() < CLOSE
        calls += peers
    alone, together, *others = alternate(*calls, repeats=10, pause=0.2)
    others = others or [None, None]
    detail = {'mean_alpha': float(seen.alpha.mean()), 'pairs': int(seen.pairs)}
    return [
        record(name, alone, others[0], torch_splat.NAME, detail),
        record(f'{name}_gradient', together, others[1], torch_splat.NAME, detail),
    ]


def splats_10k():
    return measured('splats_10k', 10_000, 256, 0.02)


def splats_100k():
    return measured('splats_100k', 100_000, 400, 0.01)


def growth():
    """10,000, 100,000 and a million of the same shapes and, in all, the same volume, at 400x400."""
    counts, calls = (10_000, 100_000, 1_000_000), []
    for count in counts:
        splats = scene(count, 0.02 * (count / counts[0]) ** (-1 / 3))
        calls += ours(splats, view(400, 400))[0]
    times = alternate(*calls, repeats=5)
    found = []
    for i, name in enumerate(('growth', 'growth_gradient')):
        taken = times[i::2]
        exponent = np.polyfit(np.log(counts), np.log([each['min'] for each in taken]), 1)[0]
        for count, each in zip(counts, taken, strict=True):
            found.append(record(f'{name}_{count}', each, None, '', {'exponent': float(exponent)}))
    return found


def training_1m():
    """A step of `experiments.splat`: a million Gaussians with harmonics of degree 3, Adam, one
    photograph of 1920x1080."""
    count, width, height = 1_000_000, 1920, 1080
    splats, camera = scene(count, 0.02 * 100 ** (-1 / 3)), view(width, height)
    gaussians = balls(splats.means, splats.colors, splats.scales[:, 0])._replace(
        log_scales=jnp.log(splats.scales),
        rotations=splats.rotations,
        opacity_logits=jax.scipy.special.logit(splats.opacities),
    )
    image = jnp.full((1, height, width, 3), 128, jnp.uint8)
    frames = Frames(jax.tree.map(lambda x: x[None], camera), image)
    step, start = training(frames, gaussians, enough(splats, camera))
    batch, key = {'image': image, 'frame': jnp.zeros(1, jnp.int32)}, jax.random.key(0)
    compiled = jax.jit(step, donate_argnums=0).lower(start, batch, key).compile()
    states = [start]
    del start, gaussians, splats

    def call():
        state, metrics = compiled(states.pop(), batch, key)
        states.append(state)
        return metrics

    assert call()['overflow'] == 0
    (times,) = alternate(call, repeats=5)
    return record('training_1m', times, None, '', {'bytes': peak(compiled)})


def training(frames, gaussians, room):
    """The step of training of one photograph, and its first state, with room for so many pairs."""
    beside = Beside(still(Nothing()), uncertain(frames.cameras, Poses()), Rates())
    adam = optimizer(Optim(name='adam', lr=1.0), 1000)
    pace = partial(rates.at, Rates(), extent=1.0)
    step = splat.lesson(frames, beside, Drawing(), Objective(), adam, pace, 0.0, 1000)

    @jax.jit
    def start(gaussians):
        others = beside.start(jax.random.key(0), adam)
        state = started(populated(gaussians, adam), others, len(gaussians.means))
        return state.replace(room=jnp.zeros(room.bit_length() - 1, jnp.int8))

    return step, start(gaussians)


def peak(compiled) -> int:
    """Bytes that a program needs at once, its arguments included."""
    found = compiled.memory_analysis()
    held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return held + found.temp_size_in_bytes


CASES = [Case(splats_10k), Case(splats_100k), Case(growth), Case(training_1m)]
