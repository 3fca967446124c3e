"""Autoencoders of latents and of codes: what an experiment needs to know of either."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp

from jaxcv import data
from jaxcv.autoencoder import KLAutoencoder, kl, losses
from jaxcv.autoencoder import stage as stages
from jaxcv.errors import UserError, choose, construct
from jaxcv.tokens import autoencoder, codebook
from jaxcv.tokens.quantizers import quantizer
from jaxcv.tokens.stage import tokens
from jaxcv.viz import curves

COUNTED = 256  # test images whose codes are counted for a picture


class Kind(NamedTuple):
    """What kinds of autoencoders differ in. `found` is the second output of their modules."""

    stage: Callable  # (module, variables, shape of an image) -> Stage
    loss: Callable  # (images, output, found, weight, distance) -> [b]
    weight: float
    latents: Callable  # found -> [b h w d]
    sums: Callable  # (module, found, valid [b]) -> sums over samples
    scores: Callable  # (sums, number of samples) -> metrics
    pictures: Callable  # (module, test set) -> ((variables) -> what else there is to be shown)


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
    return {'perplexity': codebook.evenness(used), 'usage': codebook.usage(used)}


def code_pictures(module, test_set):
    """How often codes are used."""
    images = data.signed(data.first(test_set, COUNTED)['image'])

    @jax.jit
    def counts(variables, images):
        codes = module.apply(variables, images, method='tokenize')
        return codebook.counts(codes, module.quantizer.codes)

    def pictures(variables):
        found = np.sort(jax.device_get(counts(variables, images)))[::-1]
        line = np.arange(len(found)), found / found.mean()
        caption = f'How often codes are used in {len(images)} test images; evenly: 1 for each'
        return {'usage': curves({'codes, by their use': line}, 'code', 'use', caption)}

    return pictures


KL = Kind(
    stage=lambda module, variables, shape: stages.from_kl(module, variables),
    loss=losses.kl_loss,
    weight=1e-6,
    latents=lambda found: found.mean,
    sums=kl_sums,
    scores=kl_scores,
    pictures=lambda module, test_set: lambda variables: {},
)
CODES = Kind(
    stage=tokens,
    loss=autoencoder.loss,
    weight=1.0,
    latents=lambda found: found.values,
    sums=code_sums,
    scores=code_scores,
    pictures=code_pictures,
)
MODULES = {'kl': KLAutoencoder, 'conv': autoencoder.ConvTokenizer, 'vit': autoencoder.ViTTokenizer}


def kind(
    fields: Mapping[str, Any], section: Mapping[str, Any] | None, channels: int
) -> tuple[Kind, linen.Module]:
    """The autoencoder with these fields, of which `name` says which, and the quantizer with those
    of `section`."""
    fields = {**fields, 'channels': channels}
    name = choose(fields.pop('name'), MODULES, 'config.model.name')
    if name == 'kl':
        if section:
            raise UserError(
                'config.quantizer needs a model of codes: set config.model.name to conv or vit'
            )
        return KL, construct(KLAutoencoder, fields, 'config.model')
    if not section:
        raise UserError(f'config.model.name {name!r} needs config.quantizer: its name and fields')
    module = partial(MODULES[name], quantizer(**section))
    return CODES, construct(module, fields, 'config.model')
