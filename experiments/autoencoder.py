"""Autoencoders: images become small images of latents, and images again; see `jaxcv.autoencoder`.

`config.model`          `name` (kl, vq) and fields of the module
`config.data.augment`   what happens to training images, by name in alphabetical order
`config.objective`      the fields of `Objective`

What a run that needs this one receives is a `Stage`, with latents of mean 0 and variance 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp

from jaxcv import data
from jaxcv.autoencoder import KLAutoencoder, VQAutoencoder, kl, losses, vq
from jaxcv.autoencoder import stage as stages
from jaxcv.data import augment
from jaxcv.data.dataset import stack
from jaxcv.diffusion import pictures
from jaxcv.errors import choose, construct
from jaxcv.metrics import psnr
from jaxcv.train import Experiment, Optim, evaluate, learning_rate
from jaxcv.train.config import settings
from jaxcv.train.training import train_step

BATCH = 256  # test images judged at once
SHOWN = 8  # test images in a picture
MEASURED = 1024  # training images on whose latents the exported stage is standardized


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    distance: str = 'l1'  # or 'l2'
    weight: float = -1.0  # of the other term of the loss; negative: 1e-6 of kl, 1 of vq


class Kind(NamedTuple):
    """What kinds of autoencoders differ in. `found` is the second output of their modules."""

    module: type[linen.Module]
    stage: Callable  # (module, variables) -> Stage
    apply: Callable  # (module, variables, images, keys or None) -> (images, found)
    loss: Callable  # (images, output, found, weight, distance) -> [b]
    weight: float
    latents: Callable  # found -> [b h w d]
    sums: Callable  # (module, found, valid [b]) -> sums over samples
    scores: Callable  # (sums, number of samples) -> metrics


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    train_set, test_set = images(config.data, 'train'), images(config.data, 'test')
    kind, network = model(channels=train_set[0]['image'].shape[-1], **config.model.to_dict())
    loss = lesson(kind, network, objective, augment.named(config.data.augment))
    training = train_step(loss, train, optim)

    def init(key):
        return training.init(network.init(key, data.signed(train_set[0]['image'])[None])['params'])

    def step(state, batch, key):
        state, metrics = training.step(state, batch, key)
        return state, metrics | {'lr': learning_rate(state.opt)}

    def export(state):
        # A copy that is tied to none of the run's devices.
        variables = jax.tree.map(jnp.asarray, jax.device_get(judged(state)))
        return stages.standardized(
            kind.stage(network, variables), data.signed(spread(train_set)['image'])
        )

    return Experiment(
        init=init,
        step=step,
        batches=data.batches(train_set, train.batch_size),
        evaluate=evaluate.over(test_set, BATCH, *judgement(kind, network, len(test_set))),
        show=gallery(kind, network, test_set),
        export=export,
    )


def lesson(kind, network, objective, distort):
    """The training loss, on distorted images."""
    weight = kind.weight if objective.weight < 0 else objective.weight

    def loss(params, aux, batch, keys):
        keys = jax.vmap(jax.random.split)(keys)
        x = 2 * distort(data.unit(batch['image']), keys[:, 0]) - 1
        output, found = kind.apply(network, {'params': params}, x, keys[:, 1])
        value = kind.loss(x, output, found, weight, objective.distance)
        return value.mean(), aux, {'psnr': decibels(x, output).mean()}

    return loss


def judgement(kind, network, count):
    """(measure, finish) for `evaluate.over`, without noise on the latents."""

    def measure(state, batch, keys):
        x, valid = data.signed(batch['image']), batch['valid']
        output, found = kind.apply(network, judged(state), x, None)
        each = {'psnr': decibels(x, output), 'l1': losses.reconstruction(x, output, 'l1')}
        sums = {name: jnp.where(valid, value, 0).sum() for name, value in each.items()}
        return sums, kind.sums(network, found, valid)

    def finish(sums):
        means = {name: value / count for name, value in sums[0].items()}
        return means | kind.scores(sums[1], count)

    return measure, finish


def gallery(kind, network, test_set):
    """Reconstructions below test images, and the channels of their latents."""
    shown = data.signed(next(iter(data.epoch(test_set, min(SHOWN, len(test_set)))))['image'])

    @jax.jit
    def look(state):
        output, found = kind.apply(network, judged(state), shown, None)
        return output, kind.latents(found)

    def show(state, key):
        outputs, latents = jax.device_get(look(state))
        channels = np.moveaxis(latents, -1, 1)[:, :SHOWN, ..., None]
        unit = (channels - channels.mean()) / (3 * channels.std() + 1e-6)
        return {
            'reconstructions': pictures.rows(
                np.concatenate([shown, outputs]), len(shown), 'Test images, and what comes back'
            ),
            'latents': pictures.rows(
                unit.reshape(-1, *unit.shape[2:]),
                unit.shape[1],
                'Latents of the same images: a row for each image, a column for each channel',
            ),
        }

    return show


def kl_sums(module, found, valid):
    return jnp.where(valid, kl(found), 0).sum()


def kl_scores(total, count):
    """Bits of an image that pass the posterior, as the prior sees it."""
    return {'kl_bits': total / count / np.log(2)}


def vq_sums(module, found, valid):
    """How often each code is used."""
    weights = jnp.broadcast_to(valid[:, None, None], found.indices.shape).astype(jnp.float32)
    return jnp.bincount(found.indices.ravel(), weights.ravel(), length=module.codes)


def vq_scores(used, count):
    """Perplexity, and the share of the codes that are used at all."""
    return {'perplexity': vq.evenness(used), 'usage': (used > 0).mean()}


KINDS = {
    'kl': Kind(
        KLAutoencoder,
        stages.from_kl,
        lambda module, variables, x, keys: module.apply(variables, x, keys),
        losses.kl_loss,
        1e-6,
        lambda found: found.mean,
        kl_sums,
        kl_scores,
    ),
    'vq': Kind(
        VQAutoencoder,
        stages.from_vq,
        lambda module, variables, x, keys: module.apply(variables, x),
        losses.vq_loss,
        1.0,
        lambda found: found.values,
        vq_sums,
        vq_scores,
    ),
}


def model(name, **fields):
    """(kind, module) by name, with the fields of its module."""
    kind = KINDS[choose(name, KINDS, 'config.model.name')]
    return kind, construct(kind.module, fields, 'config.model')


def decibels(x, y):
    """PSNR of images in [-1, 1]."""
    return psnr(x, jnp.clip(y, -1, 1), span=2.0)


def judged(state):
    """What the network is applied with when it is judged."""
    return {'params': state.eval_params()}


def images(section, split):
    """A split of the data set, of which only the images matter."""
    dataset = data.configured(section, split)
    source = data.MappedSource(dataset.source, lambda example: {'image': example['image']})
    return data.Dataset(dataset.name, source)


def spread(dataset):
    """Up to `MEASURED` samples, evenly over a data set that may be in order of its classes."""
    places = np.unique(np.linspace(0, len(dataset) - 1, MEASURED).round().astype(int))
    return stack(dataset, [dataset[int(i)] for i in places])
