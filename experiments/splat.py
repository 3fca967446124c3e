"""Gaussian splats: views of a scene learned from its photographs; see `jaxcv.splat`.

`config.data`       name (desk, moving_desk, capture), image_size or path, count
`config.box`        the fields of `captures.photographs.Box`: the cube that becomes [-1, 1]^3, in
                    which random Gaussians begin and around which the video goes
`config.initial`    name: 'points' (the capture's, or those of a PLY at `path`), 'random' (`count`
                    in the box), 'hull' (those of `tries` times as many that transparent photographs
                    show, but for a share of `through`) or 'file' (Gaussians at `path`); but for
                    the last, `opacity`, and `scale` in distances between neighbors
`config.motion`     name: 'none', or 'planes' with the fields of `deformation.Deformation`
`config.poses`      the fields of `cameras.uncertain.Poses`
`config.drawing`    the fields of `splat.scene.Drawing`
`config.objective`  the fields of `splat.objective.Objective`: what is minimized
`config.rates`      the fields of `splat.rates.Rates`; `config.optim.lr` is a factor of all
`config.density`    name: 'control' (3DGS) with the fields of `density.Control`, 'mcmc' (3DGS-MCMC)
                    with those of `mcmc.Chain`, or 'none'
`config.viewed`     the fields of `viewing.Viewed`
`config.needs.features` a classifier, whose layers say how alike two pictures look (optional)

Every `config.train.adapt_every` steps density changes, and room is made. A step that finds too
little room for its pairs of Gaussians and tiles changes nothing (its metric `overflow` is 1).
"""

from functools import partial

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv import data
from jaxcv.cameras import inverse
from jaxcv.cameras.uncertain import Poses, uncertain
from jaxcv.data.captures.photographs import Box, boxed, photographs
from jaxcv.errors import UserError, choose, construct
from jaxcv.metrics import psnr
from jaxcv.ops import across
from jaxcv.radiance import viewing, volume
from jaxcv.radiance.objective import weighted
from jaxcv.radiance.viewing import Viewed
from jaxcv.splat import Splats, density, losses, mcmc, rates, surfels
from jaxcv.splat.beside import Beside
from jaxcv.splat.deformation import MOTIONS, Motion
from jaxcv.splat.objective import Objective
from jaxcv.splat.population import Population, drawn, populated
from jaxcv.splat.scene import Drawing, Scene, looker, seen
from jaxcv.splat.starts import STARTS, Start
from jaxcv.splat.state import State, changed, started, unless
from jaxcv.splat.strategies import STRATEGIES, Strategy
from jaxcv.train import Experiment, Optim
from jaxcv.train.config import settings
from jaxcv.train.optimize import learning_rate, optimizer
from jaxcv.train.settings import Settings

WITHOUT = ('accumulate', 'precision', 'ema', 'frozen')  # what splats are trained without
UNSEEN = (
    'no photograph of the batch sees any Gaussian',
    'Gaussians and cameras must be in one world: look at config.initial and config.box',
)


def build(config, features=None) -> Experiment:
    train, optim = plain(settings(config)), Optim(**config.optim.to_dict())
    drawing = drawn_as(config.drawing.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    pace = construct(rates.Rates, config.rates.to_dict(), 'config.rates')
    posed = construct(Poses, config.poses.to_dict(), 'config.poses')
    viewed = construct(Viewed, config.viewed.to_dict(), 'config.viewed')
    box, where = construct(Box, config.box.to_dict(), 'config.box'), config.data
    choose(objective.background, volume.BACKGROUNDS, 'config.objective.background')
    known, held_out = photographs(
        where.name, path=where.path, image_size=where.image_size, count=where.count, box=box
    )
    begin = beginning(config, known, box, drawing)
    beside = Beside(
        motion_of(config.motion.to_dict(), known.times),
        uncertain(known.cameras, posed),
        pace,
        len(known.images) if pace.appearance else 0,
    )
    extent = float(rates.extent(inverse(known.cameras.pose)[:, :, 3]))
    strategy = strategy_of(config.density.to_dict(), extent, train.adapt_every)
    adam = optimizer(optim, train.steps)

    def init(key) -> State:
        others = beside.start(jax.random.fold_in(key, 1), adam)
        population = populated(begin(key, beside.cameras(others.params, others.aux)), adam)
        return started(population, others, strategy.room)

    def adapt(state, key) -> State:
        step = int(state.step)
        return changed(state, *strategy.revise(state.population, state.demand, step, key))

    paced = partial(rates.at, pace, extent=extent)
    behind = viewing.steady(objective.background)
    path = viewing.around(known.cameras, viewed.frames) if viewed.frames else None
    look, then = looker(drawing), jax.jit(beside.at)

    @jax.jit
    def splats_of(state, time):
        gaussians, params = state.population.gaussians, state.beside.params
        return visible(state, drawing, partial(beside.at, params, times=time), gaussians)

    def placed(state, cameras):
        cameras, metrics = beside.placed(state.beside, cameras)
        metrics = {**metrics, 'gaussians': int(state.population.alive.sum())}
        return lambda camera, time: look(splats_of(state, time), camera), cameras, metrics

    return Experiment(
        init=init,
        step=lesson(known, beside, drawing, objective, adam, paced, strategy.noise, train.steps),
        batches=data.batches(samples(known), train.batch_size),
        evaluate=viewing.evaluation(placed, held_out, behind, viewed.judged, features),
        show=viewing.exhibition(placed, held_out, behind, path),
        adapt=adapt,
        alarms={'unseen': UNSEEN},
        export=lambda state: exported(state, beside, drawing, look, then),
    )


def plain(train: Settings) -> Settings:
    """The same, unless it asks for what would not be done."""
    for name in WITHOUT:
        usual = getattr(Settings(), name)
        if getattr(train, name) != usual:
            raise UserError(
                f'config.train.{name} is {getattr(train, name)!r}, but splats are trained without: '
                f'set it to {usual!r}'
            )
    if train.adapt_every < 1:
        raise UserError('config.train.adapt_every is 0, but splats need room made: choose 100')
    return train


# Parts by name


def motion_of(section, times) -> Motion:
    name = choose(section.pop('name'), MOTIONS, 'config.motion.name')
    if name != 'none' and times is None:
        raise UserError(
            f"config.motion.name is {name!r}, but these photographs have no times: set it to 'none'"
        )
    fields, motion = MOTIONS[name]
    return motion(construct(fields, section, 'config.motion'))


def drawn_as(section) -> Drawing:
    drawing = construct(Drawing, section, 'config.drawing')
    if drawing.surfels and drawing.antialiased:
        raise UserError('config.drawing: surfels are never thinner than a pixel: antialiased=False')
    return drawing


def beginning(config, known, box, drawing) -> Start:
    """The first Gaussians, from a key and the cameras."""
    section, where = config.initial.to_dict(), config.data
    name = choose(section.pop('name'), STARTS, 'config.initial.name')
    if name == 'points' and not section.get('path') and where.name == 'capture':
        section['points'] = boxed(where.path, box).points
    begin = construct(partial(STARTS[name], known, drawing.degree), section, 'config.initial')
    if not drawing.surfels or name == 'file':
        return begin
    return lambda key, cameras: surfels.flattened(begin(key, cameras), jax.random.fold_in(key, 1))


def strategy_of(section, extent, every) -> Strategy:
    name = choose(section.pop('name'), STRATEGIES, 'config.density.name')
    fields, strategy = STRATEGIES[name]
    return strategy(construct(fields, section, 'config.density'), extent, every)


# A step


def samples(frames) -> dict[str, np.ndarray]:
    """Every photograph, and which it is."""
    found = {'image': frames.images, 'frame': np.arange(len(frames.images), dtype=np.int32)}
    return found if frames.masks is None else found | {'mask': frames.masks}


def visible(state, drawing, then, gaussians) -> Splats:
    """What is drawn of the Gaussians in the state of training, `then` being what becomes of them
    at one time or several."""
    degree = state.step // drawing.degree_every if drawing.degree_every else drawing.degree
    gaussians = then(gaussians._replace(sh=losses.limited(gaussians.sh, degree)))
    return drawn(gaussians, state.population.alive)


def lesson(frames, beside, drawing, objective, adam, paced, noise, steps):
    """The training step: a batch of whole photographs."""
    size = frames.cameras.width, frames.cameras.height

    def step(state: State, batch, key):
        population, others = state.population, state.beside
        gaussians, alive = population.gaussians, population.alive
        frame, count = batch['frame'], len(batch['frame'])
        behind = volume.backdrop(objective.background, across.keys(key, count))[:, None, None]
        wanted = volume.composite(data.unit(batch['image']), behind)

        def loss(gaussians, params, shift):
            then = partial(beside.at, params, times=frames.when(frame))
            splats = visible(state, drawing, then, gaussians)
            views = beside.cameras(params, others.aux)[frame]
            view = seen(splats, views, drawing, state.capacity, shift=shift)
            color = beside.changed(params, view.color, view.alpha, frame)
            color = volume.over(color, view.alpha, behind)
            each = losses.photometric(color, wanted, objective.similarity, batch.get('mask'))
            value = each.mean()
            penalties = beside.penalties(params) | losses.penalties(gaussians, alive)
            if drawing.surfels:
                penalties['normals'] = surfels.unevenness(view, views).mean()
            value += weighted(objective, penalties)
            return value, (view, psnr(color, wanted).mean())

        learned = gaussians, others.params
        shift = jnp.zeros((count, len(alive), 2))
        gradient = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
        (value, (view, likeness)), (*slopes, on_screen) = gradient(*learned, shift)

        slopes = across.mean(slopes)
        updates, opt = adam.update(slopes[0], population.opt, gaussians)
        pace = paced(state.step / steps, coefficients=gaussians.sh.shape[1])
        moved = jax.tree.map(lambda x, u, rate: x + rate * u, gaussians, updates, pace)
        if noise:
            strength = noise * pace.means * learning_rate(opt)
            moved = mcmc.disturbed(moved, jax.random.fold_in(key, 0), strength)
        others = beside.advanced(others, slopes[1], adam)
        # The slope is that of a mean over the shard's images.
        asked = across.sum(density.demand(count * on_screen, view.radii, *size))
        demand = jax.tree.map(jnp.add, state.demand, asked)

        overflow = across.max(view.overflow.max()) > 0
        pairs = jnp.maximum(state.pairs, across.max(view.pairs.max()))
        population = Population(moved, opt, alive)
        after = State(population, others, demand, state.room, pairs, state.step + 1)
        metrics = {
            'loss': value,
            'psnr': likeness,
            'gaussians': alive.sum(),
            'overflow': overflow,
            'unseen': across.max((view.radii > 0).any().astype(jnp.int32)) == 0,
        }
        return unless(overflow, after, state), metrics

    return step


def exported(state, beside, drawing, look, then) -> Scene:
    alive, params = np.asarray(state.population.alive), state.beside.params
    gaussians = jax.tree.map(lambda x: np.asarray(x)[alive], state.population.gaussians)
    cameras = beside.cameras(params, state.beside.aux)
    return Scene(cameras, drawing, look, partial(then, params, gaussians))
