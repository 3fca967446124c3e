"""Variational autoencoders: a picture as one vector, and pictures from vectors of noise; see
`jaxcv.autoencoder.vae`.

`config.model`          the fields of `VAE`
`config.data.augment`   what happens to training images, by name in alphabetical order
`config.objective`      `beta`: weight of the divergence from the prior; more than 1 (the beta-VAE)
                        trades detail for latents that mean different things
"""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv import data
from jaxcv.autoencoder import kl, sample
from jaxcv.autoencoder.vae import VAE, bits_per_dim, elbo, importance_bound
from jaxcv.data import augment
from jaxcv.errors import construct
from jaxcv.metrics import decibels
from jaxcv.train import Experiment, Optim, evaluate
from jaxcv.train.config import settings
from jaxcv.train.training import train_step
from jaxcv.viz import rows

BATCH = 256  # test images judged at once
SAMPLES = 64  # of the posterior, for the tighter bound
ACTIVE = 0.01  # variance of the mean of a latent from which it says something (Burda et al., 2016)
SHOWN = 10  # test images in a picture, steps along a latent
FOLLOWED = 8  # latents, at most
REACH = 2.5  # standard deviations of the prior


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    beta: float = 1.0


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    train_set = data.configured(config.data, 'train')
    test_set = data.configured(config.data, 'test')
    shape = train_set[0]['image'].shape
    module = partial(VAE, size=shape[:2], channels=shape[2])
    network = construct(module, config.model.to_dict(), 'config.model')
    lesson = loss(network, augment.signed(config.data.augment), objective.beta)
    training = train_step(lesson, train, optim)
    return Experiment(
        init=lambda key: training.init(network.init(key, jnp.zeros((1, *shape)))['params']),
        step=training.step,
        batches=data.batches(train_set, train.batch_size),
        evaluate=evaluate.over(test_set, BATCH, *judgement(network, len(test_set))),
        show=gallery(network, test_set),
    )


def loss(network, distort, beta):
    """The negative bound, in bits per dimension."""

    def loss(params, aux, batch, keys):
        keys = jax.vmap(jax.random.split)(keys)
        x = distort(batch['image'], keys[:, 0])
        apply = partial(network.apply, {'params': params})
        posterior = apply(x, method='encode')
        log_likelihood = apply(x, sample(posterior, keys[:, 1]), method='log_likelihood')
        bits = partial(bits_per_dim, dims=x[0].size)
        metrics = {
            'bits_per_dim': bits(elbo(log_likelihood, posterior)).mean(),
            'kl': kl(posterior).mean(),
        }
        return bits(elbo(log_likelihood, posterior, beta)).mean(), aux, metrics

    return loss


def judgement(network, count):
    """(measure, finish) for `evaluate.over`: the bound with one sample of the posterior and with
    many, in bits per dimension; how many latents say something."""

    def measure(state, batch, keys):
        x, valid = data.signed(batch['image']), batch['valid']
        apply = partial(network.apply, {'params': state.eval_params()})
        posterior = apply(x, method='encode')
        log_likelihood = partial(apply, x, method='log_likelihood')
        bits = partial(bits_per_dim, dims=x[0].size)
        each = {
            'bits_per_dim': bits(elbo(log_likelihood(sample(posterior, keys)), posterior)),
            'bits_per_dim_importance': bits(
                importance_bound(log_likelihood, posterior, keys, SAMPLES)
            ),
            'kl': kl(posterior),
            'psnr': decibels(x, apply(posterior.mean, method='decode')),
        }
        means = jnp.where(valid[:, None], posterior.mean, 0)
        sums = {name: jnp.where(valid, value, 0).sum() for name, value in each.items()}
        return sums, (means.sum(0), jnp.square(means).sum(0))

    def finish(sums):
        each, (first, second) = sums
        variance = second / count - (first / count) ** 2
        return {k: v / count for k, v in each.items()} | {'active': (variance > ACTIVE).sum()}

    return measure, finish


def gallery(network, test_set):
    """Reconstructions, pictures from the prior, and what the latents say."""
    shown = data.signed(data.first(test_set, SHOWN)['image'])

    @jax.jit
    def look(params, key):
        apply = partial(network.apply, {'params': params})
        posterior = apply(shown, method='encode')
        noise = jax.random.normal(key, (5 * SHOWN, network.latents))
        paths = traversals(posterior.mean).reshape(-1, network.latents)
        z = jnp.concatenate([posterior.mean, noise, paths])
        return jnp.split(apply(z, method='decode'), [SHOWN, 6 * SHOWN])

    def show(state, key):
        outputs, drawn, paths = jax.device_get(look(state.eval_params(), key))
        return {
            'reconstructions': rows(
                np.concatenate([shown, outputs]), SHOWN, 'Test images, and what comes back'
            ),
            'samples': rows(drawn, SHOWN, 'Pictures of vectors that the prior draws'),
            'traversals': rows(
                paths,
                SHOWN,
                f'A row for each latent, those that vary most first: from -{REACH} to {REACH},'
                ' the others as the first test image has them',
            ),
        }

    return show


def traversals(z: Float[Array, 'n d']) -> Float[Array, 'latents steps d']:
    """The first vector with one number changed, for those that vary most."""
    order = jnp.argsort(-z.var(0))[:FOLLOWED]
    values = jnp.linspace(-REACH, REACH, SHOWN)
    return jax.vmap(lambda i: jax.vmap(lambda v: z[0].at[i].set(v))(values))(order)
