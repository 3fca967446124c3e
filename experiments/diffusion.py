"""Diffusion: a network learns what noise hides, and pictures are drawn; see `jaxcv.diffusion`.

`config.process`       how pictures become noise: name and fields of `schedules.process`
`config.model`         the network (unet, dit) and its fields
`config.objective`     what it learns: the fields of `Objective`
`config.sampler`       how pictures are drawn: the fields of `Drawing`
`config.needs.judge`   a classifier that scores the pictures (optional)
`config.needs.stage`   an autoencoder in whose latents all of this happens (optional)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv import data
from jaxcv.data import augment
from jaxcv.diffusion import editing, losses, networks, parameterization, pictures, schedules
from jaxcv.diffusion import judge as judging
from jaxcv.diffusion.drawing import Drawing, drawing
from jaxcv.diffusion.networks import Condition
from jaxcv.errors import UserError, construct
from jaxcv.ops import across
from jaxcv.train import Experiment, Optim, optimizer
from jaxcv.train import update as train_step
from jaxcv.train.config import settings

BATCH = 256  # pictures drawn at once
FEW = 8  # pictures of one kind that are shown
SCALES = (1.0, 2.0, 4.0, 8.0)  # of the guidance that is shown
CAPTIONS = {
    'samples': 'Drawn pictures; a row for each class, if the network is told classes',
    'guidance': f'The same noise with guidance {", ".join(f"{s:g}" for s in SCALES)}',
    'inversion': 'Real pictures, the noise they come from, and what it becomes',
    'inpainting': 'Real pictures, what is known of them, and how they are completed',
}


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    name: str = 'v'  # the parameterization
    weighting: str = 'even'
    learned_variance: bool = False
    labels: bool = False  # whether the network is told the class
    drop: float = 0.1  # how many labels training hides, so that guidance has something to leave


class Stage(NamedTuple):
    """An autoencoder, as a run that needs it receives it."""

    encode: Callable  # (images [b h w c] in [-1, 1], keys [b]) -> latents of unit variance
    decode: Callable  # latents -> images


class Diffusion(NamedTuple):
    """What a run that needs this one receives."""

    denoise: Callable  # (x, level, Condition) -> Prediction
    process: Any
    shape: tuple[int, ...]  # of one x
    null: int | None  # the number of the null class, if there are classes


def build(config, judge=None, stage: Stage | None = None) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    images = loaded(config.data, objective)
    stage = stage or Stage(lambda images, keys: images, lambda x: x)
    process = schedules.process(**config.process.to_dict())
    parameterization.require(objective.name, process)
    null = len(images.classes) if objective.labels else None
    network = networks.network(
        num_classes=null, learn_sigma=objective.learned_variance, **config.model.to_dict()
    )
    meaning = parameterization.parameterization(objective.name)
    shape = jax.eval_shape(
        stage.encode,
        unit({'image': images[0]['image'][None]}),
        jax.random.split(jax.random.key(0), 1),
    ).shape[1:]

    def denoiser(params):
        def apply(x, time, condition):
            return network.apply({'params': params}, x, time, condition)

        return parameterization.denoiser(meaning, apply, objective.learned_variance)

    training = train_step(
        lessons(process, meaning, network, objective, config.data.augment, stage, null),
        optimizer(optim, train.steps),
        accumulate=train.accumulate,
        precision=train.precision,
        ema=train.ema,
        frozen=train.frozen,
    )

    def init(key):
        x, none = (
            jnp.zeros((1, *shape)),
            Condition(label=None if null is None else jnp.zeros(1, int)),
        )
        return training.init(network.init(key, x, jnp.zeros(1), none)['params'])

    how = construct(Drawing, config.sampler.to_dict(), 'config.sampler')
    draw = drawing(how, process, denoiser, shape, null)
    return Experiment(
        init=init,
        step=training.step,
        batches=data.batches(images, train.batch_size),
        evaluate=judgement(judge, images, how.count, draw, stage, null) if judge else None,
        show=gallery(draw, images, stage, null),
        export=lambda state: Diffusion(denoiser(state.eval_params()), process, shape, null),
    )


def lessons(process, meaning, network, objective, distortions, stage, null):
    """The training loss: pictures, distorted, made noisy; labels, some of them hidden."""
    distort = augment.compose(*(partial(getattr(augment, n), **f) for n, f in distortions.items()))
    weighting = losses.weighting(objective.weighting)

    def loss(params, aux, batch, keys):
        keys = jax.vmap(partial(jax.random.split, num=5))(keys)
        images = 2 * distort((unit(batch) + 1) / 2, keys[:, 0]) - 1
        lesson = losses.lesson(process, stage.encode(images, keys[:, 1]), keys[:, 2])
        condition = Condition()
        if null is not None:
            hidden = jax.vmap(lambda key: jax.random.bernoulli(key, objective.drop))(keys[:, 3])
            condition = Condition(label=jnp.where(hidden, null, batch['label']))

        def apply(x, time, condition):
            return network.apply({'params': params}, x, time, condition, True, keys[:, 4])

        if objective.learned_variance:
            value = losses.hybrid(process, meaning, apply, lesson, condition, weighting)
        else:
            value = losses.simple(meaning, apply, lesson, condition, weighting)
        return value.mean(), aux, {}

    return loss


def judgement(judge, images, count, draw, stage, null):
    """Scores of as many pictures as real ones, with the averaged parameters and without."""
    batch = first(images, count or len(images))
    labels, count = labels_of(batch), len(batch['image'])
    parts = -(-count // BATCH)
    size = -(-count // parts)
    filled = jnp.pad(labels, (0, parts * size - count)).reshape(parts, size)
    real = jax.jit(partial(judging.seen, judge.apply))(judge.variables, unit(batch))
    floor = judging.frechet_floor(real.features, jax.random.key(0))

    @jax.jit
    def look(params, labels, keys):
        labels, keys = across.split((labels, keys))
        drawn = stage.decode(draw.sample(params, labels, keys)[0])
        return across.whole(judging.seen(judge.apply, judge.variables, drawn))

    @jax.jit
    def score(fake, key):
        found = judging.judged(fake, real, key, None if null is None else labels)
        return found | {'frechet_ratio': found['frechet'] / floor}

    def scores(params_of, state, key):
        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(parts * size))
        keys = keys.reshape(parts, size)
        found = [look(params_of(state), filled[i], keys[i]) for i in range(parts)]
        return score(jax.tree.map(lambda *xs: jnp.concatenate(xs)[:count], *found), key)

    return {
        '': partial(scores, lambda state: state.eval_params()),
        'unaveraged': partial(scores, lambda state: state.params),
    }


def gallery(draw, images, stage, null):
    """Pictures of every class, how they come about, what guidance does, and edits of real ones."""
    classes, batch = max(len(images.classes), 1), first(images, FEW)
    real, own = unit(batch), labels_of(batch)
    kept = jnp.ones((), bool).repeat(real.shape[2]).at[real.shape[2] // 2 :].set(False)

    @jax.jit
    def shown(state, key):
        params, keys = state.eval_params(), jax.random.split(key, FEW * classes)
        labels, few = jnp.repeat(jnp.arange(classes), FEW), keys[:FEW]
        x0 = stage.encode(real, few)
        mixed = labels[::classes]
        made = {
            'samples': draw.sample(params, labels, keys)[0],
            'strip': draw.sample(params, mixed, few, watch=lambda step: step.prediction.x0)[1],
            'inversion': jnp.stack([x0, *draw.invert(params, own, x0)]),
        }
        if null is not None:
            made['guidance'] = jax.lax.map(
                lambda scale: draw.sample(params, mixed, few, scale)[0], jnp.array(SCALES)
            )
        made = jax.tree.map(lambda x: decoded(stage, x), made)
        if x0.shape == real.shape:
            fill = draw.sample(params, own, few, change=editing.keep(x0, kept[:, None]))[0]
            made['inpainting'] = jnp.stack([x0, jnp.where(kept[:, None], x0, 0), fill])
        return made

    def show(state, key):
        made = jax.device_get(shown(state, key))
        strip = made.pop('strip')
        media = {
            name: pictures.rows(x.reshape(-1, *x.shape[-3:]), FEW, CAPTIONS[name])
            for name, x in made.items()
        }
        return media | {'strip': pictures.strip(strip, 'The predicted picture, as the noise goes')}

    return show


def decoded(stage, x):
    """Pictures of latents with any leading axes."""
    flat = stage.decode(x.reshape(-1, *x.shape[-3:]))
    return flat.reshape(*x.shape[:-3], *flat.shape[1:])


def first(images, count):
    """The first `count` samples, in batches."""
    parts, rest = [], min(count, len(images))
    for batch in data.epoch(images, BATCH):
        parts.append({name: x[:rest] for name, x in batch.items()})
        rest -= len(parts[-1]['valid'])
        if rest <= 0:
            break
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def labels_of(batch):
    """Labels, or zeros where there are none."""
    return jnp.asarray(batch.get('label', np.zeros(len(batch['image']))), jnp.int32)


def unit(batch):
    """Images in [-1, 1]."""
    return jnp.asarray(batch['image'], jnp.float32) / 127.5 - 1


def loaded(section, objective):
    """The training images, which must have classes if those are told."""
    images = data.load(
        section.name, 'train', path=section.path or None, image_size=section.image_size or None
    )
    if objective.labels and not images.classes:
        raise UserError(
            f'config.objective.labels is set, but the data set {section.name!r} has no classes'
        )
    return images
