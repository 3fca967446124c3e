"""Autoencoders: images become latents or codes, and images again; see `jaxcv.autoencoder` and
`jaxcv.tokens`.

`config.model`          `name` (kl; conv, vit: of codes) and fields of the module
`config.quantizer`      name and fields of what makes the codes
`config.data.augment`   what happens to training images, by name in alphabetical order
`config.objective`      the fields of `Objective`
`config.adversary`      what keeps pictures sharp: name and fields of a discriminator (optional)
`config.needs.features` a classifier, whose layers say how alike two pictures look (optional)

What a run that needs this one receives is a `Stage`, with latents of mean 0 and variance 1; of
codes a `TokenStage`.
"""

from dataclasses import dataclass, field

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp

from jaxcv import data
from jaxcv.autoencoder import losses
from jaxcv.autoencoder import stage as stages
from jaxcv.autoencoder.decoder import last_layer
from jaxcv.data import augment
from jaxcv.errors import UserError, choose, construct
from jaxcv.metrics import decibels, perceptual
from jaxcv.tokens import kinds, vqgan
from jaxcv.tokens.discriminator import PatchDiscriminator, StyleDiscriminator
from jaxcv.train import Experiment, Optim, evaluate, learning_rate, players
from jaxcv.train.config import settings
from jaxcv.train.optimize import optimizer
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
    perceptual: float = 0.0  # weight of the distance that `config.needs.features` sees
    adversary: dict = field(default_factory=dict)  # fields of `vqgan.Sharpening`


def build(config, features=None) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    train_set, test_set = images(config.data, 'train'), images(config.data, 'test')
    shape = train_set[0]['image'].shape
    kind, network = kinds.kind(
        config.model.to_dict(), config.quantizer.to_dict(), channels=shape[-1]
    )
    make = maker(network, augment.signed(config.data.augment))
    loss = lesson(kind, objective, features)
    rival = discriminator(config.adversary.to_dict())
    if rival is None:
        if objective.adversary:
            raise UserError(
                'config.objective.adversary says how a discriminator is played against, but there'
                ' is none: name it in config.adversary'
            )
        training = train_step(single(make, loss), train, optim)
    else:
        training = sharpened(config, make, loss, rival, objective, train, optim)

    def init(key):
        own, other = jax.random.split(key)
        variables = network.init(own, jnp.zeros((1, *shape)))
        params = variables.pop('params')
        if rival is None:
            return training.init(params, variables)
        opponent = rival.init(other, jnp.zeros((1, *shape)))['params']
        return training.init((params, opponent), (variables, {}))

    def step(state, batch, key):
        state, metrics = training.step(state, batch, key)
        return state, metrics | {'lr': learning_rate(trained(state).opt)}

    def export(state):
        stage = kind.stage(network, judged(state), shape)
        return stages.standardized(
            stage, data.signed(data.arrays(data.some(train_set, MEASURED))['image'])
        )

    return Experiment(
        init=init,
        step=step,
        batches=data.batches(train_set, train.batch_size),
        evaluate=evaluate.over(test_set, BATCH, *judgement(kind, network, len(test_set))),
        show=gallery(kind, network, test_set),
        export=export,
    )


def maker(network, distort):
    """(params, aux, batch, keys) -> (what the autoencoder makes of distorted images, aux)."""

    def make(params, aux, batch, keys):
        keys = jax.vmap(jax.random.split)(keys)
        x = distort(batch['image'], keys[:, 0])
        (output, found), changed = network.apply(
            {'params': params, **aux}, x, keys[:, 1], mutable=[*aux, 'intermediates']
        )
        sown = changed.pop('intermediates', {}).get('decoder', {})
        before = sown.get('before_last', (None,))[0]
        return vqgan.Made(x, output, found, before), changed

    return make


def lesson(kind, objective, features):
    """The loss of what was made, and metrics."""
    weight = kind.weight if objective.weight < 0 else objective.weight
    if objective.perceptual and features is None:
        raise UserError('config.objective.perceptual needs a classifier: config.needs.features')

    def loss(made):
        x, output = made.images, made.output
        value = kind.loss(x, output, made.found, weight, objective.distance)
        metrics = {'psnr': decibels(x, output).mean()}
        if objective.perceptual:
            seen = perceptual.distance(features.maps(x), features.maps(output))
            value = value + objective.perceptual * seen
            metrics['perceptual'] = seen.mean()
        return value.mean(), metrics

    return loss


def single(make, alone):
    """The training loss without a discriminator."""

    def loss(params, aux, batch, keys):
        made, aux = make(params, aux, batch, keys)
        value, metrics = alone(made)
        return value, aux, metrics

    return loss


DISCRIMINATORS = {'patch': PatchDiscriminator, 'style': StyleDiscriminator}


def discriminator(fields) -> linen.Module | None:
    """The one that `config.adversary` names, if any."""
    if not fields:
        return None
    name = choose(fields.pop('name'), DISCRIMINATORS, 'config.adversary.name')
    return construct(DISCRIMINATORS[name], fields, 'config.adversary')


def sharpened(config, make, alone, rival, objective, train, optim):
    """The training step of both players."""
    if config.model.name == 'vit':
        raise UserError('config.adversary needs a convolutional model: kl or conv')
    how = construct(vqgan.Sharpening, objective.adversary, 'config.objective.adversary')
    game = vqgan.game(
        make,
        alone,
        last_layer,
        lambda params: params['decoder']['conv_out']['kernel'],
        lambda params, images: rival.apply({'params': params}, images),
        how,
    )
    other = Optim(name='adam', lr=how.lr, beta1=0.5)
    return players.play(
        game,
        (optimizer(optim, train.steps), optimizer(other, train.steps)),
        accumulate=train.accumulate,
        precision=train.precision,
        ema=train.ema,
    )


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
    """Reconstructions below test images, the channels of their latents, the use of codes."""
    shown = data.signed(data.first(test_set, SHOWN)['image'])
    others = kind.pictures(network, test_set)

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
            **others(judged(state)),
        }

    return show


def judged(state):
    """What the network is applied with when it is judged."""
    return {'params': state.eval_params(), **trained(state).aux}


def trained(state):
    """The autoencoder's part of the state."""
    return state.generator if isinstance(state, players.Players) else state


def images(section, split):
    """A split of the data set, of which only the images matter."""
    dataset = data.configured(section, split)
    source = data.MappedSource(dataset.source, lambda example: {'image': example['image']})
    return data.Dataset(dataset.name, source)
