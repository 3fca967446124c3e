"""Image classification: one network, cross-entropy, a data set; see `jaxcv.recognition`.

`config.model`    name and fields of the network
`config.data`     what to classify, and `augment`: how far training images are shifted and turned
`config.loss`     `label_smoothing`
`config.needs`    `teacher` (optional): a finished classifier; adds how alike both see the test set
"""

from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from jaxcv import data, recognition
from jaxcv.data import augment
from jaxcv.recognition import losses, pictures, scores, similarity
from jaxcv.train import (
    Experiment,
    Optim,
    evaluate,
    learning_rate,
    optimizer,
    plateau,
    update,
)
from jaxcv.train.config import settings
from jaxcv.train.errors import UserError


class Classifier(NamedTuple):
    """What a run that needs a classifier gets: `apply(variables, images in [-1, 1])` gives
    logits, `features(variables, images)` what the last layer sees."""

    apply: Any
    features: Any
    variables: Any


def build(config, teacher: Classifier | None = None) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    options = config.data.to_dict()
    amount = options.pop('augment', 0.0)
    train_set, test_set = (data.load(split=split, **options) for split in ('train', 'test'))
    if not train_set.num_classes:
        raise UserError(f'config.data.name {config.data.name!r} has no labels to learn')
    network = recognition.model(num_classes=train_set.num_classes, **config.model.to_dict())

    def images(batch):
        return batch['image'].astype(jnp.float32) / 127.5 - 1

    def augmented(batch, keys):
        x = images(batch)
        x = augment.affine(x, keys, degrees=15 * amount, translate=0.1 * amount) if amount else x
        return {'image': x, 'label': batch['label']}

    def loss(params, aux, batch, keys):
        logits, aux = network.apply(
            {'params': params, **aux}, batch['image'], True, keys, mutable=list(aux)
        )
        value = losses.cross_entropy(logits, batch['label'], config.loss.label_smoothing).mean()
        return value, aux, {'accuracy': scores.top_k(logits, batch['label'], 1).mean()}

    transform = optimizer(optim, train.steps)
    training = update(
        loss,
        transform,
        accumulate=train.accumulate,
        precision=train.precision,
        ema=train.ema,
        frozen=train.frozen,
    )

    def init(key):
        variables = network.init(key, images(test_set[0])[None], False)
        return training.init(variables.pop('params'), variables)

    def step(state, batch, key):
        state, metrics = training.step(state, batch, key)
        return state, metrics | {'lr': learning_rate(state.opt)}

    def variables(state):
        return {'params': state.eval_params(), **state.aux}

    return Experiment(init=init, step=step)
