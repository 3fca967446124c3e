"""Folders of diffusers' models: `config.json` beside `diffusion_pytorch_model.safetensors`.

A `Kind` says which module of ours one of their classes is; the subjects hold tables of kinds, and
`load` and `save` work on any table. Their classes share blocks and the names of blocks, so the
rules for those are here. All are convolutional networks of ours that name their layers
`down{l}_block{i}`, `middle_attention`, `up{l}_upsample` ..., with l counted as they run.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen
from jaxtyping import Array, PyTree

from jaxcv.errors import UserError, choose
from jaxcv.interop import safetensors
from jaxcv.interop.mapping import KERNEL, SAME, Rule, each, fused, to_tensors, to_tree

Config = Mapping[str, Any]
Tensors = Mapping[str, np.ndarray]
STEM = 'diffusion_pytorch_model'
VERSION = '0.42.1'  # the release whose fields these are

# A 1x1 convolution [out, in, 1, 1] <-> a matrix [in, out].
POINTWISE = each(lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None])
# Their attention was once spelled otherwise.
RENAMES = [
    (r'(attentions\.\d+)\.query\.', r'\1.to_q.'),
    (r'(attentions\.\d+)\.key\.', r'\1.to_k.'),
    (r'(attentions\.\d+)\.value\.', r'\1.to_v.'),
    (r'(attentions\.\d+)\.proj_attn\.', r'\1.to_out.0.'),
]


@dataclass(frozen=True)
class Kind:
    """What is particular to one of their classes.

    Every field of their config stands, with its default, in exactly one of `defaults` (those that
    have a counterpart in ours), `fixed` (we have that one value only) and `free` (those that are
    no part of what the module computes).
    """

    constructor: type[linen.Module]
    defaults: Config
    fixed: Config
    free: Config
    fields: Callable[[Config, Tensors], dict[str, Any]]  # their complete config -> our fields
    config: Callable[[linen.Module, PyTree, Config], dict[str, Any]]  # and back; free fields too
    rules: Callable[[linen.Module, Config], Sequence[Rule]]
    inputs: Callable[[linen.Module, Config], tuple]  # arguments of the module, as shapes
    fits: Callable[[linen.Module], bool] = lambda module: True  # of two classes like one module

    def complete(self, config: Config) -> dict[str, Any]:
        """`config` with defaults for what it leaves out; what we do not have is an error."""
        known = {**self.defaults, **self.fixed, **self.free}
        for name, value in config.items():
            if name.startswith('_'):
                continue
            if name not in known:
                raise UserError(
                    f'config.json has a field {name!r} (of value {value!r}), which the '
                    f'{config.get("_class_name")} of diffusers {VERSION} does not have; remove it '
                    f'if it means nothing'
                )
            if name in self.fixed and value != self.fixed[name]:
                raise UserError(
                    f'config.json has {name}={value!r}, but only {self.fixed[name]!r} is supported'
                )
        return known | {name: value for name, value in config.items() if name in known}


def load(kinds: Mapping[str, Kind], folder: str | Path) -> tuple[linen.Module, PyTree[Array]]:
    """The module and its variables; every tensor and every field of the config must fit."""
    return from_tensors(kinds, *safetensors.read(folder, STEM))


def from_tensors(
    kinds: Mapping[str, Kind], config: Config, tensors: Tensors
) -> tuple[linen.Module, PyTree[Array]]:
    """`load` from what a folder holds: the config and the tensors by name."""
    kind = kinds[choose(config.get('_class_name'), kinds, '_class_name in config.json')]
    config = kind.complete(config)
    module = kind.constructor(**kind.fields(config, tensors))
    like = jax.eval_shape(module.init, jax.random.key(0), *kind.inputs(module, config))
    rules = kind.rules(module, config)
    tree = to_tree(rules, tensors, like, renames=RENAMES)
    return module, jax.tree.map(jax.numpy.asarray, tree)


def save(
    kinds: Mapping[str, Kind],
    module: linen.Module,
    variables: PyTree[Array],
    folder: str | Path,
    **free: Any,
) -> None:
    """Writes a folder that diffusers loads. `free` are fields of their config that are no part of
    what the module computes, e.g. sample_size."""
    config, tensors = as_tensors(kinds, module, variables, **free)
    safetensors.write(folder, config, tensors, STEM)


def as_tensors(
    kinds: Mapping[str, Kind], module: linen.Module, variables: PyTree[Array], **free: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `save` writes: the config and the tensors by name."""
    names = [name for name, kind in kinds.items() if kind.constructor is type(module)]
    names = [name for name in names if kinds[name].fits(module)]
    refuse(len(names) != 1, f'no model of diffusers is like this {type(module).__name__}')
    name, kind = names[0], kinds[names[0]]
    for given in free:
        choose(given, kind.free, f'a field of {name} that can be given')
    config = {**kind.defaults, **kind.fixed, **kind.free, **free}
    config |= kind.config(module, variables['params'], config)
    tensors = to_tensors(kind.rules(module, config), variables)
    config = json.loads(json.dumps(config))  # tuples as the lists that a file will hold
    return {'_class_name': name, '_diffusers_version': VERSION, **config}, tensors


# The rules of their blocks, and of networks made of these


def dense(theirs: str, ours: str, layout=KERNEL) -> list[Rule]:
    """A linear layer or a convolution, with or without bias."""
    return [
        Rule(f'{theirs}.weight', f'params/{ours}/kernel', layout),
        Rule(f'{theirs}.bias', f'params/{ours}/bias'),
    ]


def norm(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f'{theirs}.weight', f'params/{ours}/scale'),
        Rule(f'{theirs}.bias', f'params/{ours}/bias'),
    ]


def joined(theirs: str, parts: Sequence[str], ours: str) -> list[Rule]:
    """Linear layers of theirs that are one of ours, side by side."""
    weights = tuple(f'{theirs}.{part}.weight' for part in parts)
    biases = tuple(f'{theirs}.{part}.bias' for part in parts)
    return [
        Rule(weights, f'params/{ours}/kernel', fused(len(parts), KERNEL)),
        Rule(biases, f'params/{ours}/bias', fused(len(parts), SAME)),
    ]


def attention(theirs: str, ours: str) -> list[Rule]:
    """The layers of `jaxcv.nn.attention.Attention`, of x or of tokens."""
    return [
        *joined(theirs, ('to_q', 'to_k', 'to_v'), f'{ours}/qkv'),
        *dense(f'{theirs}.to_q', f'{ours}/query'),
        *joined(theirs, ('to_k', 'to_v'), f'{ours}/key_value'),
        *dense(f'{theirs}.to_out.0', f'{ours}/out'),
    ]


def self_attention(theirs: str, ours: str) -> list[Rule]:
    return [*norm(f'{theirs}.group_norm', f'{ours}/norm'), *attention(theirs, f'{ours}/attention')]


def transformer(theirs: str, ours: str, linear: bool) -> list[Rule]:
    """Blocks with cross-attention; with `linear`, what surrounds them is stored as matrices."""
    layout = KERNEL if linear else POINTWISE
    block, own = f'{theirs}.transformer_blocks.{{k}}', f'{ours}/block{{k}}'
    return [
        *norm(f'{theirs}.norm', f'{ours}/norm'),
        *dense(f'{theirs}.proj_in', f'{ours}/project_in', layout),
        *norm(f'{block}.norm1', f'{own}/attention_norm'),
        *attention(f'{block}.attn1', f'{own}/attention'),
        *norm(f'{block}.norm2', f'{own}/cross_norm'),
        *attention(f'{block}.attn2', f'{own}/cross'),
        *norm(f'{block}.norm3', f'{own}/mlp_norm'),
        *mlp(f'{block}.ff', f'{own}/mlp'),
        *dense(f'{theirs}.proj_out', f'{ours}/project_out', layout),
    ]


def mlp(theirs: str, ours: str) -> list[Rule]:
    return [
        *dense(f'{theirs}.net.0.proj', f'{ours}/expand'),
        *dense(f'{theirs}.net.2', f'{ours}/project'),
    ]


def residual(theirs: str, ours: str) -> list[Rule]:
    return [
        *norm(f'{theirs}.norm1', f'{ours}/norm1'),
        *dense(f'{theirs}.conv1', f'{ours}/conv1'),
        *dense(f'{theirs}.time_emb_proj', f'{ours}/time'),
        *norm(f'{theirs}.norm2', f'{ours}/norm2'),
        *dense(f'{theirs}.conv2', f'{ours}/conv2'),
        *dense(f'{theirs}.conv_shortcut', f'{ours}/shortcut'),
    ]


def network(
    theirs: str, ours: str, attention: Callable[[str, str], list[Rule]] = self_attention
) -> list[Rule]:
    """A network of levels down, a middle and levels up, or of a part of these; `theirs` and `ours`
    are what the names begin with, '' or 'encoder.' and 'encoder/'."""
    rules = [
        *dense(f'{theirs}conv_in', f'{ours}conv_in'),
        *residual(f'{theirs}mid_block.resnets.{{i}}', f'{ours}middle_block{{i}}'),
        *attention(f'{theirs}mid_block.attentions.0', f'{ours}middle_attention'),
        *norm(f'{theirs}conv_norm_out', f'{ours}norm_out'),
        *dense(f'{theirs}conv_out', f'{ours}conv_out'),
    ]
    for side in ('down', 'up'):
        level, own = f'{theirs}{side}_blocks.{{l}}', f'{ours}{side}{{l}}'
        sampler = (f'{level}.{side}samplers.0', f'{own}_{side}sample')
        rules += [
            *residual(f'{level}.resnets.{{i}}', f'{own}_block{{i}}'),
            *attention(f'{level}.attentions.{{i}}', f'{own}_attention{{i}}'),
            *residual(*sampler),
            *dense(f'{sampler[0]}.conv', f'{sampler[1]}/conv'),
        ]
    return rules


# Fields that several of their classes have

ACTIVATIONS = {'silu': 'silu', 'swish': 'silu', 'gelu': 'gelu', 'relu': 'relu'}  # theirs: ours


def levels(config: Config, field: str, kinds: Mapping[str, Any]) -> tuple:
    """What `kinds` says of each of the block types in `field`."""
    names = config[field]
    count = len(config['block_out_channels'])
    refuse(len(names) != count, f'{field} has {len(names)} entries for {count} levels')
    return tuple(kinds[choose(name, kinds, f'a block type in {field}')] for name in names)


def refuse(condition: bool, why: str) -> None:
    if condition:
        raise UserError(f'this model cannot be converted: {why}')
