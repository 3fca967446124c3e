"""Image classification: one network, cross-entropy, a data set; see `jaxcv.recognition`.

`config.model`          name and fields of the network
`config.data.augment`   what happens to training images, by name in alphabetical order:
                        {'affine': {'rotate': 10}}
`config.loss`           `smoothing` of labels, `mixup` (the alpha of its Beta distribution)
`config.needs.teacher`  a finished classifier (optional): how alike do both see the test set?
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax

from jaxcv import data, recognition
from jaxcv.data import augment
from jaxcv.errors import UserError, choose
from jaxcv.ops import across
from jaxcv.recognition import losses, pictures, scores, similarity
from jaxcv.train import Experiment, Optim, diagnose, evaluate, learning_rate, plateau
from jaxcv.train.config import settings
from jaxcv.train.training import train_step

SHOWN = 512  # test images that pictures and diagnostics look at


class Classifier(NamedTuple):
    """What a run that needs a classifier receives."""

    apply: Any  # (variables, images [b h w c] in [-1, 1]) -> (logits [b k], features [b d])
    variables: Any
    maps: Any  # images -> what each activation gives, as maps [b h w c]


def build(config, teacher: Classifier | None = None) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    train_set, test_set = labeled(config.data, 'train'), labeled(config.data, 'test')
    classes = train_set.classes
    network = recognition.model(num_classes=len(classes), **config.model.to_dict())
    loss = objective(network, len(classes), config)
    training = train_step(loss, train, optim)

    def init(key):
        variables = network.init(key, data.unit(train_set[0]['image'])[None], False)
        return training.init(variables.pop('params'), variables)

    def step(state, batch, key):
        state, metrics = training.step(state, batch, key)
        return state, metrics | {'lr': learning_rate(state.opt)}

    def apply(variables, images):
        return network.apply(variables, images, False, None, features=True)

    return Experiment(
        init=init,
        step=step,
        batches=data.batches(train_set, train.batch_size),
        evaluate={
            '': evaluate.over(test_set, SHOWN, *judgement(apply, teacher, len(test_set))),
            'diagnostics': diagnostics(network, loss, test_set),
        },
        show=gallery(network, apply, test_set, classes),
        observe=partial(observe, optim.plateau) if optim.plateau else None,
        export=lambda state: Classifier(
            apply, variables(state), partial(maps, network, variables(state))
        ),
    )


def maps(network, variables, images):
    """What the activations between convolutions give."""
    layers = diagnose.activations(network.apply, variables, images, False)
    found = [x for calls in layers.values() for x in calls if x.ndim == 4]
    if not found:
        raise UserError('this classifier has no maps: take a convolutional one, such as cnn')
    return found


def objective(network, classes, config):
    """The training loss: distorted (and mixed) images, smoothed labels, cross-entropy."""
    distort = augment.named(config.data.augment)
    smoothing, alpha = config.loss.smoothing, config.loss.mixup

    def loss(params, aux, batch, keys):
        keys = jax.vmap(partial(jax.random.split, num=3))(keys)
        images, labels = data.unit(batch['image']), jax.nn.one_hot(batch['label'], classes)
        images = distort(images, keys[:, 0])
        if alpha:
            images, labels = augment.mixup(images, labels, keys[:, 1], alpha)
        variables, images = {'params': params, **aux}, 2 * images - 1
        logits, aux = network.apply(variables, images, True, keys[:, 2], mutable=list(aux))
        value = losses.cross_entropy(logits, labels, smoothing).mean()
        return value, aux, {'accuracy': (logits.argmax(-1) == batch['label']).mean()}

    return loss


def judgement(apply, teacher, count):
    """(measure, finish) for `evaluate.over`: scores, and how alike network and teacher are."""

    def measure(state, batch, keys):
        images, valid = data.signed(batch['image']), batch['valid']
        logits, seen = apply(variables(state), images)
        sums = {'scores': scores.sums(logits, batch['label'], valid)}
        if teacher:
            other_logits, other_seen = teacher.apply(teacher.variables, images)
            agree = (logits.argmax(-1) == other_logits.argmax(-1)) & valid
            sums['alike'] = similarity.alignment_sums(seen, other_seen, valid)
            sums['agree'] = agree.sum()
        return sums

    def finish(sums):
        metrics = scores.finish(sums['scores'])
        if teacher:
            metrics['teacher_alignment'] = similarity.alignment(sums['alike'])
            metrics['teacher_agreement'] = sums['agree'] / count
        return metrics

    return measure, finish


def diagnostics(network, loss, test_set):
    """Gradients by layer and dead units, on the first test images."""

    @jax.jit
    def diagnosed(state, batch, key):
        batch, keys = across.split((batch, jax.random.split(key, len(batch['label']))))
        grads = jax.grad(lambda params: loss(params, state.aux, batch, keys)[0])(state.params)
        images = data.signed(batch['image'])
        dead = diagnose.dead_units(network.apply, variables(state), images)
        return across.whole(diagnose.metrics(diagnose.gradient_norms(grads), dead))

    return lambda state, key: diagnosed(state, data.first(test_set, SHOWN), key)


def gallery(network, apply, test_set, classes):
    """Mistakes, confusion, reliability and attention, on the first test images."""

    @jax.jit
    def predict(state, batch):
        return across.whole(apply(variables(state), data.signed(across.split(batch)['image']))[0])

    def show(state, key):
        batch = data.first(test_set, SHOWN)
        logits = predict(state, batch)
        sums = scores.sums(logits, batch['label'], batch['valid'])
        media = {
            'mistakes': pictures.mistakes(
                data.unit(batch['image']), logits, batch['label'], classes
            ),
            'confusion': pictures.confusion(sums['confusion'], classes),
            'reliability': pictures.reliability(sums),
        }
        if isinstance(network, recognition.ViT):
            few = data.unit(batch['image'])[:8]
            maps = network.apply(variables(state), 2 * few - 1, maps=True)[-1]
            media['attention'] = pictures.attention(few, maps)
        return media

    return show


def variables(state):
    """What the network is applied with when it is judged."""
    return {'params': state.eval_params(), **state.aux}


def labeled(section, split):
    """A split of the data set, which must have classes."""
    dataset = data.configured(section, split)
    if not dataset.classes:
        raise UserError(f'config.data.name is {section.name!r}, which has no labels to learn')
    return dataset


def observe(metric, state, metrics):
    """Reduce-on-plateau takes note of an evaluation."""
    value = metrics[choose(metric, metrics, 'config.optim.plateau')]
    return dataclasses.replace(state, opt=plateau.observe(state.opt, value))
