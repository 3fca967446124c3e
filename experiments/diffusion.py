"""Diffusion: a network learns what noise hides, and pictures are drawn; see `jaxcv.diffusion`.

`config.process`            how pictures become noise: name and fields of `schedules.process`
`config.model`              the network (unet, dit) and its fields
`config.objective`          what it learns: the fields of `Objective`
`config.sampler`            how pictures are drawn: the fields of `Drawing`
`config.latents.path`       what `experiments.encode` made of the pictures (optional)
`config.needs.judge`        a classifier that scores the pictures (optional)
`config.needs.stage`        an autoencoder in whose latents all of this happens (optional)
`config.needs.classifier`   a classifier of noisy pictures, to guide by (optional)
`config.needs.weak`         a weaker network of the same kind, to guide by (optional)
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv import data
from jaxcv.autoencoder.stage import Stage, plain
from jaxcv.data import augment, encoded
from jaxcv.diffusion import losses, masks, networks, parameterization, schedules
from jaxcv.diffusion.drawing import Drawing, Guides, drawing
from jaxcv.diffusion.gallery import Real, gallery
from jaxcv.diffusion.guidance import Conditional
from jaxcv.diffusion.networks import Condition
from jaxcv.diffusion.networks.classifier import Guide, require
from jaxcv.errors import UserError, construct
from jaxcv.metrics import judge as judging
from jaxcv.train import Experiment, Optim
from jaxcv.train.config import settings
from jaxcv.train.training import train_step

FEW = 8  # pictures of one kind that are shown
ROWS = 10  # classes of which pictures are shown, at most


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    name: str = 'v'  # the parameterization
    weighting: str = 'even'
    learned_variance: bool = False
    labels: bool = False  # whether the network is told the class
    drop: float = 0.1  # how many labels training hides, so that guidance has something to leave
    fills: bool = False  # whether it is shown a part of the picture, and learns to fill in the rest


class Diffusion(NamedTuple):
    """What a run that needs this one receives."""

    denoise: Conditional  # (x, level, Condition) -> Prediction
    process: Any
    shape: tuple[int, ...]  # of one x
    null: int | None  # the number of the null class, if there are classes


def build(
    config, judge=None, stage: Stage | None = None, classifier: Guide | None = None, weak=None
):
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    images = loaded(config.data, objective)
    process = schedules.process(**config.process.to_dict())
    parameterization.require(objective.name, process)
    meaning = parameterization.parameterization(objective.name)
    null = len(images.classes) if objective.labels else None
    network = networks.network(
        num_classes=null, learn_sigma=objective.learned_variance, **config.model.to_dict()
    )
    stage = stage or plain
    shape = shape_of(stage, images, objective)

    def denoiser(params):
        def apply(x, time, condition):
            return network.apply({'params': params}, x, time, condition)

        return parameterization.denoiser(meaning, apply, objective.learned_variance)

    lesson = lessons(process, stage, objective, augment.signed(config.data.augment), null)
    training = train_step(loss(process, meaning, network, objective, lesson), train, optim)

    def init(key):
        x = jnp.zeros((1, *shape))
        told = Condition(
            label=None if null is None else jnp.zeros(1, int),
            image=masks.nothing(x.shape) if objective.fills else None,
        )
        return training.init(network.init(key, x, jnp.zeros(1), told)['params'])

    how = construct(Drawing, config.sampler.to_dict(), 'config.sampler')
    guides = guided_by(weak, classifier, config.process, shape)
    draw = drawing(how, process, denoiser, shape, null, objective.fills, guides)
    scores = scorer(judge, images, how, draw, stage, null) if judge else None
    return Experiment(
        init=init,
        step=training.step,
        batches=data.batches(stored(config, stage) or images, train.batch_size),
        evaluate=evaluations(scores) if judge else None,
        show=exhibition(draw, images, how, stage, null, objective.fills, scores),
        export=lambda state: Diffusion(denoiser(state.eval_params()), process, shape, null),
    )


def lessons(process, stage, objective, distort, null):
    """(batch, keys) -> what is noisy, and what the network is told: pictures, distorted, or their
    latents; labels, some of them hidden; a part of the picture."""

    def latents(batch, keys):
        if 'image' not in batch:
            return stage.sample(batch, keys[:, 1])
        images = distort(batch['image'], keys[:, 0])
        return stage.encode(images, keys[:, 1])

    def lesson(batch, keys):
        keys = jax.vmap(partial(jax.random.split, num=5))(keys)
        label = image = None
        if null is not None:
            hidden = jax.vmap(lambda key: jax.random.bernoulli(key, objective.drop))(keys[:, 3])
            label = jnp.where(hidden, null, batch['label'])
        x0 = latents(batch, keys)
        if objective.fills:
            image = masks.known(x0, masks.draw(keys[:, 4], *x0.shape[1:3]))
        return losses.lesson(process, x0, keys[:, 2]), Condition(label=label, image=image)

    return lesson


def loss(process, meaning, network, objective, lessons):
    """The training loss."""
    weighting = losses.weighting(objective.weighting)

    def loss(params, aux, batch, keys):
        keys = jax.vmap(jax.random.split)(keys)
        lesson, condition = lessons(batch, keys[:, 0])

        def apply(x, time, condition):
            return network.apply({'params': params}, x, time, condition, True, keys[:, 1])

        if objective.learned_variance:
            value = losses.hybrid(process, meaning, apply, lesson, condition, weighting)
        else:
            value = losses.simple(meaning, apply, lesson, condition, weighting)
        return value.mean(), aux, {}

    return loss


def scorer(judge, images, how, draw, stage, null):
    """(params, key, scale of the guidance, if not that of `how`) -> scores of as many pictures as
    real ones."""
    batch = data.first(images, how.count or len(images))
    real, labels = data.signed(batch['image']), labels_of(batch)

    def drawn(params, rows, keys, scale=None):
        return stage.decode(draw.sample(params, labels[rows], keys, scale)[0])

    told = null is not None or how.classifier
    return judging.scorer(judge.apply, judge.variables, real, drawn, labels if told else None)


def evaluations(scores):
    """With the averaged parameters and without."""
    return {
        '': lambda state, key: scores(state.eval_params(), key),
        'unaveraged': lambda state, key: scores(state.params, key),
    }


def exhibition(draw, images, how, stage, null, fills, scores):
    """The gallery, and what guidance does to the scores."""
    batch = data.first(images, FEW)
    real = Real(data.signed(batch['image']), labels_of(batch))
    classes = min(max(len(images.classes), 1), ROWS)
    scale = None if null is None else how.guidance
    shown = gallery(draw, stage, real, classes, null, fills, scale)

    def show(state, key):
        params = state.eval_params()
        media = shown(params, key)
        if scores and how.scales:
            media['guidance_scores'] = judging.swept(partial(scores, params, key), how.scales)
        return media

    return show


def guided_by(weak, classifier, section, shape):
    """Networks that guide, if they know what this one draws."""
    if classifier:
        require(classifier, section.to_dict(), shape)
    if weak and weak.shape != shape:
        raise UserError(f'config.needs.weak draws {weak.shape}, but is to guide {shape}')
    return Guides(weak and weak.denoise, classifier and classifier.log_prob)


def stored(config, stage):
    """What the stage made of the training images and a command wrote, if the config names it."""
    path = config.get('latents', {}).get('path')
    if not path:
        return None
    if config.data.augment:
        raise UserError(
            'config.data.augment distorts pictures, but config.latents.path holds latents of'
            ' undistorted ones: leave out one of the two'
        )
    encoded.require(Path(path), stage.fingerprint)
    return data.some(data.load('encoded', 'train', path=path), config.data.count)


def shape_of(stage, images, objective):
    """The shape of what is noisy."""
    example = data.signed(images[0]['image'][None])
    keys = jax.random.split(jax.random.key(0), 1)
    shape = jax.eval_shape(stage.encode, example, keys).shape[1:]
    if objective.fills and shape != example.shape[1:]:
        raise UserError(
            'config.objective.fills needs pictures, but config.needs.stage makes latents of them'
        )
    return shape


def labels_of(batch):
    """Labels, or zeros where there are none."""
    return jnp.asarray(batch.get('label', np.zeros(len(batch['image']))), jnp.int32)


def loaded(section, objective):
    """The training images, which must have classes if those are told."""
    images = data.configured(section, 'train')
    if objective.labels and not images.classes:
        raise UserError(
            f'config.objective.labels is set, but the data set {section.name!r} has no classes'
        )
    return images
