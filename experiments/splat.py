"""Gaussian splats: views of a scene learned from its photographs; see `jaxcv.splat`.

`config.data`       name (desk, capture), image_size or path, count
`config.box`        the fields of `captures.photographs.Box`: the cube that becomes [-1, 1]^3, in
                    which random Gaussians begin and around which the video goes
`config.initial`    name: 'points' (the capture's, or those of a PLY at `path`), 'random' (`count`
                    in the box), 'hull' (those of `tries` times as many that transparent photographs
                    show) or 'file' (Gaussians at `path`); but for the last, `opacity`, and `scale`
                    in distances between neighbors
`config.drawing`    the fields of `splat.scene.Drawing`
`config.objective`  the fields of `Objective`
`config.rates`      the fields of `splat.rates.Rates`; `config.optim.lr` is a factor of all
`config.density`    name: 'control' (3DGS) with the fields of `density.Control`, 'mcmc' (3DGS-MCMC)
                    with those of `mcmc.Chain`, or 'none'
`config.viewed`     the fields of `Viewed`

Every `config.train.adapt_every` steps density changes, and room is made. A step that finds too
little room for its pairs of Gaussians and tiles changes nothing (its metric `overflow` is 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Int, Int8

from jaxcv import data
from jaxcv.cameras import inverse, orbit
from jaxcv.data.captures.photographs import Box, boxed, photographs
from jaxcv.errors import UserError, choose, construct
from jaxcv.metrics import psnr, ssim
from jaxcv.ops import across
from jaxcv.radiance import volume
from jaxcv.splat import Splats, density, losses, mcmc, rates
from jaxcv.splat.population import Population, drawn, grown, populated
from jaxcv.splat.scene import Drawing, Scene, looker, seen
from jaxcv.splat.starts import STARTS, Start
from jaxcv.splat.strategies import STRATEGIES, Strategy
from jaxcv.train import Experiment, Optim
from jaxcv.train.config import settings
from jaxcv.train.optimize import learning_rate, optimizer
from jaxcv.viz import Picture, Video, compared, to_uint8

DATA = ('desk', 'capture')
TOUCHED = 4  # tiles for each Gaussian that there is room for at first
SPARE = 1.1  # how much more room there is than was needed last, for as many Gaussians
VIEWS = 4  # of the test that are shown
UNSEEN = (
    'no photograph of the batch sees any Gaussian',
    'Gaussians and cameras must be in one world: look at config.initial and config.box',
)


@dataclass(frozen=True)
class Objective:
    """`config.objective`: the weights of what is minimized."""

    similarity: float = 0.2
    opacity: float = 0.0
    scale: float = 0.0
    background: str = 'white'  # or 'black', or 'random': behind transparent photographs


@dataclass(frozen=True)
class Viewed:
    """`config.viewed`: what is judged and shown."""

    frames: int = 24  # of the video; 0: none
    judged: int = 0  # test views that are scored; 0: all


@struct.dataclass
class State:
    """What training carries; shapes say how much room there is."""

    population: Population
    demand: density.Demand
    room: Int8[Array, 'bits']  # for 2^bits pairs of a Gaussian and a tile
    pairs: Int[Array, '']  # the most that were needed since the last `adapt`
    step: Int[Array, '']

    @property
    def capacity(self) -> int:
        return 2 ** len(self.room)


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    drawing = construct(Drawing, config.drawing.to_dict(), 'config.drawing')
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    pace = construct(rates.Rates, config.rates.to_dict(), 'config.rates')
    viewed = construct(Viewed, config.viewed.to_dict(), 'config.viewed')
    box, where = construct(Box, config.box.to_dict(), 'config.box'), config.data
    choose(objective.background, volume.BACKGROUNDS, 'config.objective.background')
    choose(where.name, DATA, 'config.data.name')
    if train.adapt_every < 1:
        raise UserError('config.train.adapt_every is 0, but splats need room made: choose 100')
    known, held_out = photographs(
        where.name, path=where.path, image_size=where.image_size, count=where.count, box=box
    )
    begin = beginning(config, known, box, drawing.degree)
    extent = float(rates.extent(inverse(known.cameras.pose)[:, :, 3]))
    strategy = strategy_of(config.density.to_dict(), extent, train.adapt_every)
    adam = optimizer(optim, train.steps)

    def init(key) -> State:
        population = populated(begin(key), adam)
        rows = max(len(population.alive), strategy.room)
        room, zero = jnp.zeros((TOUCHED * rows - 1).bit_length(), jnp.int8), jnp.int32(0)
        return State(grown(population, rows), density.nothing(rows), room, zero, zero)

    def adapt(state, key) -> State:
        population, demand = strategy.revise(state.population, state.demand, int(state.step), key)
        growth = population.alive.sum() / jnp.maximum(state.population.alive.sum(), 1)
        needed, bits = SPARE * float(growth) * int(state.pairs), len(state.room)
        while 2**bits < needed:
            bits += 1
        room, pairs = jnp.zeros(bits, jnp.int8), jnp.zeros_like(state.pairs)
        return State(population, demand, room, pairs, state.step)

    paced = partial(rates.at, pace, extent=extent)
    behind = jnp.full(3, float(objective.background != 'black'))
    look = looker(drawing)
    splats_of = jax.jit(lambda state: visible(state, state.population.gaussians, drawing))
    return Experiment(
        init=init,
        step=lesson(known, drawing, objective, adam, paced, strategy.noise, train.steps),
        batches=data.batches(samples(known), train.batch_size),
        evaluate=evaluation(splats_of, look, held_out, behind, viewed.judged),
        show=exhibition(splats_of, look, held_out, behind, viewed.frames),
        adapt=adapt,
        alarms={'unseen': UNSEEN},
        export=lambda state: exported(state, known.cameras, drawing, look),
    )


# Parts by name


def beginning(config, known, box, degree) -> Start:
    """The first Gaussians, from a key."""
    section, where = config.initial.to_dict(), config.data
    name = choose(section.pop('name'), STARTS, 'config.initial.name')
    if name == 'points' and not section.get('path') and where.name == 'capture':
        section['points'] = boxed(where.path, box).points
    return construct(partial(STARTS[name], known, degree), section, 'config.initial')


def strategy_of(section, extent, every) -> Strategy:
    name = choose(section.pop('name'), STRATEGIES, 'config.density.name')
    fields, strategy = STRATEGIES[name]
    return strategy(construct(fields, section, 'config.density'), extent, every)


# A step


def samples(frames) -> dict[str, np.ndarray]:
    """Every photograph, and which it is."""
    found = {'image': frames.images, 'frame': np.arange(len(frames.images), dtype=np.int32)}
    return found if frames.masks is None else found | {'mask': frames.masks}


def visible(state, gaussians, drawing) -> Splats:
    """What is drawn of the Gaussians in the state of training."""
    degree = state.step // drawing.degree_every if drawing.degree_every else drawing.degree
    gaussians = gaussians._replace(sh=losses.limited(gaussians.sh, degree))
    return drawn(gaussians, state.population.alive)


def lesson(frames, drawing, objective, adam, paced, noise, steps):
    """The training step: a batch of whole photographs."""
    cameras = frames.cameras

    def step(state: State, batch, key):
        population, count = state.population, len(batch['frame'])
        gaussians, alive = population.gaussians, population.alive
        behind = volume.backdrop(objective.background, across.keys(key, count))[:, None, None]
        wanted = volume.composite(data.unit(batch['image']), behind)

        def loss(gaussians, shift):
            views = cameras[batch['frame']]
            splats = visible(state, gaussians, drawing)
            view = seen(splats, views, drawing, state.capacity, shift=shift)
            color = volume.over(view.color, view.alpha, behind)
            each = losses.photometric(color, wanted, objective.similarity, batch.get('mask'))
            value = each.mean()
            value += objective.opacity * losses.mean_opacity(gaussians, alive)
            value += objective.scale * losses.mean_scale(gaussians, alive)
            return value, (view, psnr(color, wanted).mean())

        shift = jnp.zeros((count, len(alive), 2))
        gradient = jax.value_and_grad(loss, (0, 1), has_aux=True)
        (value, (view, likeness)), (slope, on_screen) = gradient(gaussians, shift)

        updates, opt = adam.update(across.mean(slope), population.opt, gaussians)
        pace = paced(state.step / steps, coefficients=gaussians.sh.shape[1])
        moved = jax.tree.map(lambda x, u, rate: x + rate * u, gaussians, updates, pace)
        if noise:
            size = noise * pace.means * learning_rate(opt)
            moved = mcmc.disturbed(moved, jax.random.fold_in(key, 0), size)
        # The slope is that of a mean over the shard's images.
        size = cameras.width, cameras.height
        asked = across.sum(density.demand(count * on_screen, view.radii, *size))
        asked = jax.tree.map(jnp.add, state.demand, asked)

        overflow = across.max(view.overflow.max()) > 0
        population, demand = jax.tree.map(
            lambda old, new: jnp.where(overflow, old, new),
            (population, state.demand),
            (Population(moved, opt, alive), asked),
        )
        pairs = jnp.maximum(state.pairs, across.max(view.pairs.max()))
        metrics = {
            'loss': value,
            'psnr': likeness,
            'gaussians': alive.sum(),
            'overflow': overflow,
            'unseen': across.max((view.radii > 0).any().astype(jnp.int32)) == 0,
        }
        return State(population, demand, state.room, pairs, state.step + 1), metrics

    return step


# Evaluation and pictures


def evaluation(splats_of, look, frames, behind, judged):
    """Means over the test views, or the first so many, and how many Gaussians there are."""
    count = judged or len(frames.images)

    @jax.jit
    def judge(view, expected):
        color = pictured(view, behind)[None]
        return {'psnr': psnr(color, expected)[0], 'ssim': ssim(color, expected)[0]}

    def evaluate(state, key):
        splats, found = splats_of(state), []
        for i in range(count):
            view = look(splats, frames.cameras[i])
            found.append(judge(view, volume.composite(data.unit(frames.images[i : i + 1]), behind)))
        scores = {name: np.mean([float(each[name]) for each in found]) for name in found[0]}
        return scores | {'gaussians': int(state.population.alive.sum())}

    return evaluate


def exhibition(splats_of, look, frames, behind, length):
    """Test views beside the truth, with depth and error; a way around the scene."""
    count = min(VIEWS, len(frames.images))
    expected = np.asarray(volume.composite(data.unit(frames.images[:count]), behind))
    up = -frames.cameras.pose[:, 1, :3].mean(0)

    def show(state, key) -> Mapping[str, Picture | Video]:
        splats = splats_of(state)
        found = [look(splats, frames.cameras[i]) for i in range(count)]
        color = np.stack([pictured(view, behind) for view in found])
        media = {'views': compared(expected, color, np.stack([view.depth for view in found]))}
        if length:
            path = orbit(frames.cameras[0], jnp.zeros(3), up, length)
            film = np.stack([pictured(look(splats, camera), behind) for camera in path])
            media['orbit'] = Video(to_uint8(film), 12, 'Around the scene')
        return media

    return show


def pictured(view, behind):
    return jnp.clip(volume.over(view.color, view.opacity, behind), 0, 1)


def exported(state, cameras, drawing, look) -> Scene:
    alive = np.asarray(state.population.alive)
    gaussians = jax.tree.map(lambda x: np.asarray(x)[alive], state.population.gaussians)
    return Scene(gaussians, cameras, drawing, look)
