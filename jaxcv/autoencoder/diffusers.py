"""Folders of diffusers' AutoencoderKL, read and written.

    module, variables = load('path/to/folder')
    save(module, variables, 'path/to/new_folder', sample_size=64)

Their `scaling_factor` and `shift_factor` are our `scale` and `shift`.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
from flax import linen
from jaxtyping import PyTree

from jaxcv.autoencoder.kl import KLAutoencoder
from jaxcv.errors import choose
from jaxcv.interop import diffusers
from jaxcv.interop.diffusers import ACTIVATIONS, Config, Kind, Tensors, dense, levels
from jaxcv.interop.mapping import Rule

DOWN = {'DownEncoderBlock2D': False, 'AttnDownEncoderBlock2D': True}  # whether they attend
UP = {'UpDecoderBlock2D': False, 'AttnUpDecoderBlock2D': True}
DEFAULTS = {
    'in_channels': 3,
    'out_channels': 3,
    'down_block_types': ('DownEncoderBlock2D',),
    'up_block_types': ('UpDecoderBlock2D',),
    'block_out_channels': (64,),
    'layers_per_block': 1,
    'act_fn': 'silu',
    'norm_num_groups': 32,
    'scaling_factor': 0.18215,
    'mid_block_add_attention': True,
}
HALVES = [
    *diffusers.network('encoder.', 'encoder/'),
    *diffusers.network('decoder.', 'decoder/'),
]
RULES = [
    *HALVES,
    *dense('quant_conv', 'to_latents'),
    *dense('post_quant_conv', 'from_latents'),
]


def fields(config: Config, tensors: Tensors) -> dict[str, Any]:
    """What every autoencoder with these halves has."""
    there, back = levels(config, 'down_block_types', DOWN), levels(config, 'up_block_types', UP)
    return {
        'latents': config['latent_channels'],
        'widths': tuple(config['block_out_channels']),
        'blocks': config['layers_per_block'],
        'attention': there,
        'decoder_attention': None if back[::-1] == there else back[::-1],
        'middle_attention': config['mid_block_add_attention'],
        'channels': config['out_channels'],
        'groups': config['norm_num_groups'],
        'activation': ACTIVATIONS[choose(config['act_fn'], ACTIVATIONS, 'act_fn')],
        'scale': config['scaling_factor'],
    }


def written(module: linen.Module, params: PyTree, free: Config) -> dict[str, Any]:
    """The inverse of `fields`."""
    there = module.attention or (False,) * len(module.widths)
    back = there if module.decoder_attention is None else module.decoder_attention
    down = {attends: name for name, attends in DOWN.items()}
    up = {attends: name for name, attends in UP.items()}
    choose(module.activation, ACTIVATIONS.values(), 'the activation to export')
    return {
        'in_channels': params['encoder']['conv_in']['kernel'].shape[-2],
        'out_channels': module.channels,
        'down_block_types': [down[bool(attends)] for attends in there],
        'up_block_types': [up[bool(attends)] for attends in reversed(back)],
        'block_out_channels': module.widths,
        'layers_per_block': module.blocks,
        'act_fn': module.activation,
        'latent_channels': module.latents,
        'norm_num_groups': module.groups,
        'scaling_factor': module.scale,
        'mid_block_add_attention': module.middle_attention,
    }


def kl_fields(config: Config, tensors: Tensors) -> dict[str, Any]:
    return fields(config, tensors) | {
        'encoder_projection': config['use_quant_conv'],
        'decoder_projection': config['use_post_quant_conv'],
        'shift': config['shift_factor'] or 0.0,
    }


def kl_written(module: KLAutoencoder, params: PyTree, free: Config) -> dict[str, Any]:
    return written(module, params, free) | {
        'use_quant_conv': module.encoder_projection,
        'use_post_quant_conv': module.decoder_projection,
        'shift_factor': module.shift or None,
    }


def inputs(module: linen.Module, config: Config) -> tuple[jax.ShapeDtypeStruct]:
    side = 2 ** (len(module.widths) - 1)
    return (jax.ShapeDtypeStruct((1, side, side, config['in_channels']), np.float32),)


def rules(module: linen.Module, config: Config) -> list[Rule]:
    return RULES


KINDS = {
    'AutoencoderKL': Kind(
        constructor=KLAutoencoder,
        defaults=DEFAULTS
        | {
            'latent_channels': 4,
            'shift_factor': None,
            'use_quant_conv': True,
            'use_post_quant_conv': True,
        },
        fixed={'latents_mean': None, 'latents_std': None},
        free={'sample_size': 32, 'force_upcast': True},
        fields=kl_fields,
        config=kl_written,
        rules=rules,
        inputs=inputs,
    ),
}
load = partial(diffusers.load, KINDS)
from_tensors = partial(diffusers.from_tensors, KINDS)
save = partial(diffusers.save, KINDS)
