"""Autoencoders: images become latents or codes, and images again; see `jaxcv.autoencoder` and
`jaxcv.tokens`.

`config.model`          `name` (kl; conv, vit: of codes) and fields of the module
`config.quantizer`      name and fields of what makes the codes
`config.data.augment`   what happens to training images, by name in alphabetical order
`config.objective`      the fields of `Objective`

What a run that needs this one receives is a `Stage`, with latents of mean 0 and variance 1; of
codes a `TokenStage`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp

from jaxcv import data
from jaxcv.autoencoder import KLAutoencoder, kl, losses
from jaxcv.autoencoder import stage as stages
from jaxcv.data import augment
from jaxcv.data.dataset import stack
from jaxcv.errors import UserError, choose, construct
from jaxcv.metrics import psnr
from jaxcv.tokens import autoencoder as coded
from jaxcv.tokens import codebook
from jaxcv.tokens.quantizers import quantizer
from jaxcv.tokens.stage import tokens
from jaxcv.train import Experiment, Optim, evaluate, learning_rate
from jaxcv.train.config import settings
from jaxcv.train.training import train_step
from jaxcv.viz import rows

BATCH = 256  # test images judged at once
SHOWN = 8  # test images in a picture
MEASURED = 1024  # training images on whose latents the exported stage is standardized


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    distance: str = 'l1'  # or 'l2'
    weight: float = -1.0  # of the other term of the loss; negative: 1e-6 of kl, 1 of codes


class Kind(NamedTuple):
    """What kinds of autoencoders differ in. `found` is the second output of their modules."""

    stage: Callable  # (module, variables, shape of an image) -> Stage
    loss: Callable  # (images, output, found, weight, distance) -> [b]
    weight: float
    latents: Callable  # found -> [b h w d]
    sums: Callable  # (module, found, valid [b]) -> sums over samples
    scores: Callable  # (sums, number of samples) -> metrics


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    train_set, test_set = images(config.data, 'train'), images(config.data, 'test')
    shape = train_set[0]['image'].shape
    kind, network = model(config, channels=shape[-1])
    loss = lesson(kind, network, objective, augment.named(config.data.augment))
    training = train_step(loss, train, optim)

    def init(key):
        variables = network.init(key, jnp.zeros((1, *shape)))
        params = variables.pop('params')
        return training.init(params, variables)

    def step(state, batch, key):
        state, metrics = training.step(state, batch, key)
        return state, metrics | {'lr': learning_rate(state.opt)}

    def export(state):
        # A copy that is tied to none of the run's devices.
        variables = jax.tree.map(jnp.asarray, jax.device_get(judged(state)))
        return stages.standardized(
            kind.stage(network, variables, shape), data.signed(spread(train_set)['image'])
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
        (output, found), aux = network.apply(
            {'params': params, **aux}, x, keys[:, 1], mutable=list(aux)
        )
        value = kind.loss(x, output, found, weight, objective.distance)
        return value.mean(), aux, {'psnr': decibels(x, output).mean()}

    return loss


def judgement(kind, network, count):
    """(measure, finish) for `evaluate.over`, without noise on the latents."""

    def measure(state, batch, keys):
        x, valid = data.signed(batch['image']), batch['valid']
        output, found = network.apply(judged(state), x)
        each = {'psnr': decibels(x, output), 'l1': losses.reconstruction(x, output, 'l1')}
        sums = {name: jnp.where(valid, value, 0).sum() for name, value in each.items()}
        return sums, kind.sums(network, found, valid)

    def finish(sums):
        means = {name: value / count for name, value in sums[0].items()}
        return means | kind.scores(sums[1], count)

    return measure, finish


def gallery(kind, network, test_set):
    """Reconstructions below test images, and the channels of their latents."""
    shown = data.signed(data.first(test_set, SHOWN)['image'])

    @jax.jit
    def look(state):
        output, found = network.apply(judged(state), shown)
        return output, kind.latents(found)

    def show(state, key):
        outputs, latents = jax.device_get(look(state))
        channels = np.moveaxis(latents, -1, 1)[:, :SHOWN, ..., None]
        unit = (channels - channels.mean()) / (3 * channels.std() + 1e-6)
        return {
            'reconstructions': rows(
                np.concatenate([shown, outputs]), len(shown), 'Test images, and what comes back'
            ),
            'latents': rows(
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


def code_sums(module, found, valid):
    """How often each code is used."""
    shape = (-1,) + (1,) * (found.codes.ndim - 1)
    weights = jnp.broadcast_to(valid.reshape(shape), found.codes.shape).astype(jnp.float32)
    return jnp.bincount(found.codes.ravel(), weights.ravel(), length=module.quantizer.codes)


def code_scores(used, count):
    """Perplexity, and the share of the codes that are used at all."""
    return {'perplexity': codebook.evenness(used), 'usage': (used > 0).mean()}


KL = Kind(
    stage=lambda module, variables, shape: stages.from_kl(module, variables),
    loss=losses.kl_loss,
    weight=1e-6,
    latents=lambda found: found.mean,
    sums=kl_sums,
    scores=kl_scores,
)
CODES = Kind(
    stage=tokens,
    loss=coded.loss,
    weight=1.0,
    latents=lambda found: found.values,
    sums=code_sums,
    scores=code_scores,
)
MODULES = {'kl': KLAutoencoder, 'conv': coded.ConvTokenizer, 'vit': coded.ViTTokenizer}


def model(config, channels) -> tuple[Kind, linen.Module]:
    """The autoencoder that the config names."""
    fields = config.model.to_dict() | {'channels': channels}
    name = choose(fields.pop('name'), MODULES, 'config.model.name')
    section = config.get('quantizer')
    if name == 'kl':
        if section:
            raise UserError(
                'config.quantizer needs a model of codes: set config.model.name to conv or vit'
            )
        return KL, construct(KLAutoencoder, fields, 'config.model')
    if not section:
        raise UserError(f'config.model.name {name!r} needs config.quantizer: its name and fields')
    module = partial(MODULES[name], quantizer(**section.to_dict()))
    return CODES, construct(module, fields, 'config.model')


def decibels(x, y):
    """PSNR of images in [-1, 1]."""
    return psnr(x, jnp.clip(y, -1, 1), span=2.0)


def judged(state):
    """What the network is applied with when it is judged."""
    return {'params': state.eval_params(), **state.aux}


def images(section, split):
    """A split of the data set, of which only the images matter."""
    dataset = data.configured(section, split)
    source = data.MappedSource(dataset.source, lambda example: {'image': example['image']})
    return data.Dataset(dataset.name, source)


def spread(dataset):
    """Up to `MEASURED` samples, evenly over a data set that may be in order of its classes."""
    places = np.unique(np.linspace(0, len(dataset) - 1, MEASURED).round().astype(int))
    return stack(dataset, [dataset[int(i)] for i in places])
