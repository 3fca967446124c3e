"""What diffusers' UNet2DModel and UNet2DConditionModel are in our terms; see
`jaxcv.diffusion.diffusers`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from jaxcv.diffusion.networks import Condition, UNet
from jaxcv.errors import choose
from jaxcv.interop import diffusers
from jaxcv.interop.diffusers import Config, Kind, Tensors, dense, levels, refuse
from jaxcv.interop.mapping import Rule
from jaxcv.train.paths import leaves

# Block types: (what a level attends with, how its images are halved; None: as another field says)
DOWN = {
    'DownBlock2D': ('none', 'conv'),
    'AttnDownBlock2D': ('self', None),
    'ResnetDownsampleBlock2D': ('none', 'block'),
}
UP = {
    'UpBlock2D': ('none', 'conv'),
    'AttnUpBlock2D': ('self', None),
    'ResnetUpsampleBlock2D': ('none', 'block'),
}
CROSS_DOWN = {'DownBlock2D': 'none', 'CrossAttnDownBlock2D': 'cross'}
CROSS_UP = {'UpBlock2D': 'none', 'CrossAttnUpBlock2D': 'cross'}
RESAMPLE = {'conv': 'conv', 'resnet': 'block'}  # theirs: ours
MODULATION = {'default': 'shift', 'scale_shift': 'scale_shift'}
SILU = ('silu', 'swish')
DEFAULTS = {
    'freq_shift': 0,
    'flip_sin_to_cos': True,
    'layers_per_block': 2,
    'downsample_padding': 1,
    'dropout': 0.0,
    'act_fn': 'silu',
    'attention_head_dim': 8,
    'norm_num_groups': 32,
    'norm_eps': 1e-5,
    'resnet_time_scale_shift': 'default',
    'time_embedding_dim': None,
    'class_embed_type': None,
    'num_class_embeds': None,
}
FIXED = {'center_input_sample': False, 'time_embedding_type': 'positional'}


def fields(config: Config) -> dict[str, Any]:
    """What both kinds have."""
    choose(config['act_fn'], SILU, 'act_fn')
    inputs, outputs = config['in_channels'], config['out_channels']
    modulation = choose(config['resnet_time_scale_shift'], MODULATION, 'resnet_time_scale_shift')
    return {
        'widths': tuple(config['block_out_channels']),
        'blocks': same(config['layers_per_block'], 'layers_per_block'),
        'out_channels': None if outputs in (inputs, 2 * inputs) else outputs,
        'learn_sigma': outputs == 2 * inputs,
        'null_class': False,
        'modulation': MODULATION[modulation],
        'padding': config['downsample_padding'],
        'groups': config['norm_num_groups'],
        'epsilon': config['norm_eps'],
        'dropout': config['dropout'],
        'time_width': config['time_embedding_dim'],
        'cosine_first': config['flip_sin_to_cos'],
        'time_shift': config['freq_shift'],
    }


def written(module: UNet, params: PyTree) -> dict[str, Any]:
    """The inverse of `fields`."""
    modulations = {ours: theirs for theirs, ours in MODULATION.items()}
    classes = module.num_classes
    return {
        'in_channels': params['conv_in']['kernel'].shape[-2],
        'out_channels': params['conv_out']['bias'].size,
        'block_out_channels': module.widths,
        'layers_per_block': module.blocks,
        'num_class_embeds': None if classes is None else classes + module.null_class,
        'resnet_time_scale_shift': modulations[module.modulation],
        'downsample_padding': module.padding,
        'norm_num_groups': module.groups,
        'norm_eps': module.epsilon,
        'dropout': module.dropout,
        'time_embedding_dim': module.time_width,
        'flip_sin_to_cos': module.cosine_first,
        'freq_shift': module.time_shift,
    }


def plain_fields(config: Config, tensors: Tensors) -> dict[str, Any]:
    resample, attention = plain_levels(config)
    groups = config['attn_norm_num_groups']
    refuse(groups not in (None, config['norm_num_groups']), 'attn_norm_num_groups of its own')
    middle = config['mid_block_type']
    choose(middle or 'None', ('UNetMidBlock2D', 'None'), 'mid_block_type')
    refuse(config['class_embed_type'] is not None, 'class_embed_type must be null')
    width = config['attention_head_dim']
    ours = fields(config)
    return ours | {
        'attention': attention,
        'middle': middle and ('self' if config['add_attention'] else 'none'),
        'middle_norm': groups is not None or ours['modulation'] == 'shift',
        'num_classes': config['num_class_embeds'],
        'resample': resample,
        **({'heads': 1} if width is None else {'head_width': width}),
    }


def plain_levels(config: Config) -> tuple[str, tuple[str, ...]]:
    """(how images are resampled, what each level attends with)."""
    down, up = levels(config, 'down_block_types', DOWN), levels(config, 'up_block_types', UP)
    attention = tuple(kind for kind, _ in down)
    mirrored(attention, tuple(kind for kind, _ in up))
    ways = set()
    for entries, field in ((down, 'downsample_type'), (up, 'upsample_type')):
        default = RESAMPLE[choose(config[field], RESAMPLE, field)]
        ways |= {way or default for _, way in entries[:-1]}  # the last level has none
    refuse(len(ways) > 1, 'it halves or doubles images by convolution here, by blocks there')
    return ways.pop() if ways else 'conv', attention


def plain_written(module: UNet, params: PyTree, free: Config) -> dict[str, Any]:
    attention, theirs = tuple(module.attention), {ours: name for name, ours in RESAMPLE.items()}
    down = {kind: name for name, kind in DOWN.items()}
    up = {kind: name for name, kind in UP.items()}
    ways = {'none': module.resample, 'self': None}
    normed = module.modulation == 'shift'
    refuse(module.vector, 'their UNet2DModel has no vector among its conditions')
    refuse(normed and not module.middle_norm, 'their middle has a norm with modulation shift')
    resample = theirs[module.resample] if 'self' in attention else 'conv'
    return written(module, params) | {
        'down_block_types': [down[kind, ways[kind]] for kind in attention],
        'up_block_types': [up[kind, ways[kind]] for kind in reversed(attention)],
        'mid_block_type': module.middle and 'UNetMidBlock2D',
        'add_attention': module.middle != 'none',
        'attn_norm_num_groups': module.groups if module.middle_norm and not normed else None,
        'downsample_type': resample,
        'upsample_type': resample,
        'attention_head_dim': head_width(module),
    }


def head_width(module: UNet) -> int | None:
    """Of every self-attention; None: as many as the level has channels."""
    attending = [
        w for w, kind in zip(module.widths, module.attention, strict=True) if kind == 'self'
    ]
    attending += [module.widths[-1]] * (module.middle == 'self')
    if not attending:
        return module.head_width if module.heads is None else None
    if module.heads is None:
        if min(attending) >= module.head_width:
            return module.head_width
        refuse(max(attending) > module.head_width, 'one head here and several there')
        return None
    refuse(not isinstance(module.heads, int), 'their UNet2DModel has one width of heads')
    found = {width // module.heads for width in attending}
    if module.heads == 1:
        return None
    refuse(len(found) > 1, 'their UNet2DModel has heads of one width; set head_width, not heads')
    return found.pop()


def cross_fields(config: Config, tensors: Tensors) -> dict[str, Any]:
    down = levels(config, 'down_block_types', CROSS_DOWN)
    mirrored(down, levels(config, 'up_block_types', CROSS_UP))
    middle = config['mid_block_type']
    choose(middle or 'None', ('UNetMidBlock2DCrossAttn', 'None'), 'mid_block_type')
    labels = config['class_embed_type']
    choose(labels or 'None', ('projection', 'None'), 'class_embed_type')
    added = config['addition_embed_type']
    choose(added or 'None', ('text_time', 'None'), 'addition_embed_type')
    refuse(bool(labels and added), 'two vectors of conditions, class_embed_type and addition')
    depth, heads = config['transformer_layers_per_block'], config['attention_head_dim']
    return fields(config) | {
        'attention': down,
        'middle': middle and 'cross',
        'num_classes': None if labels else config['num_class_embeds'],
        'vector': bool(labels or added),
        'heads': heads if isinstance(heads, int) else tuple(heads),
        'transformer_depth': depth if isinstance(depth, int) else tuple(depth),
    }


def cross_written(module: UNet, params: PyTree, free: Config) -> dict[str, Any]:
    refuse('self' in (*module.attention, module.middle), 'their conditional U-Net has no self')
    refuse(module.middle == 'none', 'the middle of their conditional U-Net has cross-attention')
    refuse(module.resample != 'conv', 'their conditional U-Net resamples by convolution')
    down = {kind: name for name, kind in CROSS_DOWN.items()}
    up = {kind: name for name, kind in CROSS_UP.items()}
    flat = leaves(params)
    contexts = {x.shape[0] for path, x in flat.items() if path.endswith('key_value/kernel')}
    added = free['addition_embed_type'] is not None
    entry = params['embedding']['vector']['dense1']['kernel'].shape[0] if module.vector else None
    return written(module, params) | {
        'down_block_types': [down[kind] for kind in module.attention],
        'up_block_types': [up[kind] for kind in reversed(module.attention)],
        'mid_block_type': module.middle and 'UNetMidBlock2DCrossAttn',
        'attention_head_dim': module.heads or [w // module.head_width for w in module.widths],
        'transformer_layers_per_block': module.transformer_depth,
        'cross_attention_dim': contexts.pop(),
        'class_embed_type': 'projection' if module.vector and not added else None,
        'projection_class_embeddings_input_dim': entry,
    }


def inputs(module: UNet, config: Config) -> tuple:
    def shape(*sizes, dtype=np.float32):
        return jax.ShapeDtypeStruct((1, *sizes), dtype)

    side = 2 ** (len(module.widths) - 1)
    crosses = 'cross' in (*module.attention, module.middle)
    condition = Condition(
        label=None if module.num_classes is None else shape(dtype=np.int32),
        tokens=shape(1, config['cross_attention_dim']) if crosses else None,
        vector=shape(config['projection_class_embeddings_input_dim']) if module.vector else None,
    )
    return shape(side, side, config['in_channels']), shape(), condition


def rules(module: UNet, config: Config) -> Sequence[Rule]:
    attention, vector = diffusers.self_attention, 'class_embedding'
    if 'cross_attention_dim' in config:
        attention = partial(diffusers.transformer, linear=config['use_linear_projection'])
        vector = 'add_embedding' if config['addition_embed_type'] else vector
    return [
        *diffusers.network('', '', attention),
        *dense('time_embedding.linear_{k}', 'embedding/time/dense{k}'),
        *dense(f'{vector}.linear_{{k}}', 'embedding/vector/dense{k}'),
        Rule('class_embedding.weight', 'params/embedding/label/embedding'),
    ]


def conditional(module: UNet) -> bool:
    return 'cross' in (*module.attention, module.middle)


def mirrored(down: Sequence[str], up: Sequence[str]) -> None:
    refuse(down[::-1] != up, 'up_block_types do not attend where down_block_types do')


def same(value: int | Sequence[int], field: str) -> int:
    """The one value of a field that may be a list."""
    values = {value} if isinstance(value, int) else set(value)
    refuse(len(values) != 1, f'{field} is {value!r}, but must be one number')
    return values.pop()


PLAIN = Kind(
    constructor=UNet,
    defaults=DEFAULTS
    | {
        'in_channels': 3,
        'out_channels': 3,
        'down_block_types': ('DownBlock2D', *('AttnDownBlock2D',) * 3),
        'mid_block_type': 'UNetMidBlock2D',
        'up_block_types': (*('AttnUpBlock2D',) * 3, 'UpBlock2D'),
        'block_out_channels': (224, 448, 672, 896),
        'downsample_type': 'conv',
        'upsample_type': 'conv',
        'attn_norm_num_groups': None,
        'add_attention': True,
    },
    fixed=FIXED | {'mid_block_scale_factor': 1},
    free={'sample_size': None, 'num_train_timesteps': None},
    fields=plain_fields,
    config=plain_written,
    rules=rules,
    inputs=inputs,
    fits=lambda module: not conditional(module),
)
CONDITIONAL = Kind(
    constructor=UNet,
    defaults=DEFAULTS
    | {
        'in_channels': 4,
        'out_channels': 4,
        'down_block_types': (*('CrossAttnDownBlock2D',) * 3, 'DownBlock2D'),
        'mid_block_type': 'UNetMidBlock2DCrossAttn',
        'up_block_types': ('UpBlock2D', *('CrossAttnUpBlock2D',) * 3),
        'block_out_channels': (320, 640, 1280, 1280),
        'cross_attention_dim': 1280,
        'transformer_layers_per_block': 1,
        'projection_class_embeddings_input_dim': None,
    },
    fixed=FIXED
    | {
        'only_cross_attention': False,
        'mid_block_scale_factor': 1,
        'reverse_transformer_layers_per_block': None,
        'encoder_hid_dim': None,
        'encoder_hid_dim_type': None,
        'num_attention_heads': None,
        'dual_cross_attention': False,
        'resnet_skip_time_act': False,
        'resnet_out_scale_factor': 1.0,
        'time_embedding_act_fn': None,
        'timestep_post_act': None,
        'time_cond_proj_dim': None,
        'conv_in_kernel': 3,
        'conv_out_kernel': 3,
        'attention_type': 'default',
        'class_embeddings_concat': False,
        'mid_block_only_cross_attention': None,
        'cross_attention_norm': None,
    },
    free={  # how the same numbers are stored, or where they come from
        'sample_size': None,
        'upcast_attention': False,
        'use_linear_projection': False,
        'addition_embed_type': None,
        'addition_time_embed_dim': None,
        'addition_embed_type_num_heads': 64,
    },
    fields=cross_fields,
    config=cross_written,
    rules=rules,
    inputs=inputs,
    fits=conditional,
)
