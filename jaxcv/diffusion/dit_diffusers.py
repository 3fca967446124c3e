"""What diffusers' DiTTransformer2DModel is in our terms; see `jaxcv.diffusion.diffusers`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from jaxcv.diffusion.networks import Condition, DiT
from jaxcv.errors import choose
from jaxcv.interop.diffusers import Config, Kind, Tensors, attention, dense, mlp, refuse
from jaxcv.interop.mapping import KERNEL, SAME, Layout, Rule

ACTIVATIONS = {'gelu-approximate': 'gelu_tanh', 'gelu': 'gelu'}  # theirs: ours
BLOCK = 'transformer_blocks.{i}'
RULES = [
    *dense('pos_embed.proj', 'patches'),
    *dense(f'{BLOCK}.norm1.linear', 'block{i}/modulation'),
    *attention(f'{BLOCK}.attn1', 'block{i}/attention'),
    *mlp(f'{BLOCK}.ff', 'block{i}/mlp'),
    *dense('proj_out_1', 'modulation'),
    *dense('proj_out_2', 'project'),
]
EMBEDDING = {  # theirs: ours
    'timestep_embedder.linear_{k}.weight': ('time/dense{k}/kernel', KERNEL),
    'timestep_embedder.linear_{k}.bias': ('time/dense{k}/bias', SAME),
    'class_embedder.embedding_table.weight': ('label/embedding', SAME),
}


def fields(config: Config, tensors: Tensors) -> dict[str, Any]:
    refuse(config['num_embeds_ada_norm'] is None, 'a DiT of theirs needs num_embeds_ada_norm')
    inputs, outputs = config['in_channels'], config['out_channels'] or config['in_channels']
    return {
        'num_classes': config['num_embeds_ada_norm'],
        'patch': config['patch_size'],
        'width': config['num_attention_heads'] * config['attention_head_dim'],
        'depth': config['num_layers'],
        'heads': config['num_attention_heads'],
        'out_channels': None if outputs in (inputs, 2 * inputs) else outputs,
        'learn_sigma': outputs == 2 * inputs,
        'activation': ACTIVATIONS[choose(config['activation_fn'], ACTIVATIONS, 'activation_fn')],
        'mlp_epsilon': config['norm_eps'],
        'dropout': config['dropout'],
        'time_shift': 1.0,
        'embed_per_block': not same_embeddings(tensors, config['num_layers']),
    }


def same_embeddings(tensors: Tensors, depth: int) -> bool:
    """Whether all blocks have one embedding, as in the published weights."""
    names = [name for name in tensors if name.startswith('transformer_blocks.0.norm1.emb.')]
    if depth == 1 or not names:
        return False
    others = [[name.replace('.0.', f'.{i}.', 1) for i in range(1, depth)] for name in names]
    return all(
        other in tensors and np.array_equal(tensors[name], tensors[other])
        for name, same in zip(names, others, strict=True)
        for other in same
    )


def written(module: DiT, params: PyTree, free: Config) -> dict[str, Any]:
    refuse(module.variant != 'adaln_zero', 'their DiT has the variant adaln_zero only')
    refuse(module.num_classes is None, 'their DiT has classes')
    refuse(not module.null_class, 'their DiT has a null class')
    refuse(module.epsilon != 1e-6, 'their DiT has an epsilon of 1e-6 only')
    refuse(module.time_width != 256, 'their DiT has a time_width of 256 only')
    refuse(module.time_shift != 1, 'their DiT has a time_shift of 1 only')
    refuse(module.mlp_width not in (None, 4 * module.width), 'their DiT has mlps of 4 times width')
    theirs = {ours: name for name, ours in ACTIVATIONS.items()}
    inputs = params['patches']['kernel'].shape[-2]
    outputs = params['project']['bias'].size // module.patch**2
    return {
        'num_attention_heads': module.heads,
        'attention_head_dim': module.width // module.heads,
        'in_channels': inputs,
        'out_channels': None if outputs == inputs else outputs,
        'num_layers': module.depth,
        'dropout': module.dropout,
        'patch_size': module.patch,
        'activation_fn': theirs[choose(module.activation, theirs, 'the activation to export')],
        'num_embeds_ada_norm': module.num_classes,
        'norm_eps': module.mlp_epsilon,
    }


def rules(module: DiT, config: Config) -> Sequence[Rule]:
    name = f'{BLOCK}.norm1.emb.'
    if module.embed_per_block:
        own = [
            Rule(name + theirs, f'params/embedding{{i}}/{ours}', layout)
            for theirs, (ours, layout) in EMBEDDING.items()
        ]
    else:
        depth = module.depth
        names = [name.replace('{i}', str(i)) for i in range(depth)]
        own = [
            Rule(
                tuple(n + theirs for n in names), f'params/embedding/{ours}', copied(depth, layout)
            )
            for theirs, (ours, layout) in EMBEDDING.items()
        ]
    return [*RULES, *own]


def copied(copies: int, layout: Layout) -> Layout:
    """One of ours is the same tensor under each of their names."""
    return Layout(lambda *xs: layout.ours(xs[0]), lambda x: layout.theirs(x) * copies)


def inputs(module: DiT, config: Config) -> tuple:
    side = module.patch
    x = jax.ShapeDtypeStruct((1, side, side, config['in_channels']), np.float32)
    label = jax.ShapeDtypeStruct((1,), np.int32)
    return x, jax.ShapeDtypeStruct((1,), np.float32), Condition(label=label)


DIT = Kind(
    constructor=DiT,
    defaults={
        'num_attention_heads': 16,
        'attention_head_dim': 72,
        'in_channels': 4,
        'out_channels': None,
        'num_layers': 28,
        'dropout': 0.0,
        'patch_size': 2,
        'activation_fn': 'gelu-approximate',
        'num_embeds_ada_norm': 1000,
        'norm_eps': 1e-5,
    },
    fixed={
        'attention_bias': True,
        'norm_type': 'ada_norm_zero',
        'norm_elementwise_affine': False,
    },
    free={'sample_size': 32, 'norm_num_groups': 32, 'upcast_attention': False},
    fields=fields,
    config=written,
    rules=rules,
    inputs=inputs,
)
# The published weights of DiT still say that they are this class; it is read and never written.
LEGACY = replace(
    DIT,
    fixed=DIT.fixed
    | {
        'cross_attention_dim': None,
        'num_vector_embeds': None,
        'use_linear_projection': False,
        'only_cross_attention': False,
        'double_self_attention': False,
        'attention_type': 'default',
        'caption_channels': None,
        'interpolation_scale': None,
        'use_additional_conditions': None,
    },
    fits=lambda module: False,
)
