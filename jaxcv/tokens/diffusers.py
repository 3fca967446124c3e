"""Folders of diffusers' VQModel, read and written.

    module, variables = load('path/to/folder')
    save(module, variables, 'path/to/new_folder', sample_size=64)

Their `commit_loss` has beta on the codebook term, ours has it on the commitment.
"""

from functools import partial
from typing import Any

from flax import linen
from jaxtyping import PyTree

from jaxcv.autoencoder.diffusers import DEFAULTS, HALVES, fields, inputs, written
from jaxcv.interop import diffusers
from jaxcv.interop.diffusers import Config, Kind, Tensors, dense, refuse
from jaxcv.interop.mapping import Rule
from jaxcv.tokens.autoencoder import ConvTokenizer
from jaxcv.tokens.vq import VQ

RULES = [
    *HALVES,
    *dense('quant_conv', 'to_vectors'),
    *dense('post_quant_conv', 'from_vectors'),
    Rule('quantize.embedding.weight', 'params/bottleneck/learned/codebook'),
]


def read(config: Config, tensors: Tensors) -> dict[str, Any]:
    return fields(config, tensors) | {
        'quantizer': VQ(config['num_vq_embeddings']),
        'latent_width': config['vq_embed_dim'],
    }


def write(module: ConvTokenizer, params: PyTree, free: Config) -> dict[str, Any]:
    plain = VQ(module.quantizer.codes, beta=module.quantizer.beta)
    refuse(module.quantizer != plain, 'its quantizer is not the plain VQ')
    return written(module, params, free) | {
        'num_vq_embeddings': module.quantizer.codes,
        'vq_embed_dim': module.latent_width,
    }


def rules(module: linen.Module, config: Config) -> list[Rule]:
    return RULES


KINDS = {
    'VQModel': Kind(
        constructor=ConvTokenizer,
        defaults=DEFAULTS
        | {
            'latent_channels': 3,
            'num_vq_embeddings': 256,
            'vq_embed_dim': None,
        },
        fixed={'norm_type': 'group'},
        free={'sample_size': 32, 'force_upcast': False, 'lookup_from_codebook': False},
        fields=read,
        config=write,
        rules=rules,
        inputs=inputs,
    ),
}
load = partial(diffusers.load, KINDS)
from_tensors = partial(diffusers.from_tensors, KINDS)
save = partial(diffusers.save, KINDS)
