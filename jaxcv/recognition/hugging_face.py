"""Checkpoints of Hugging Face's ViT, ConvNextV2 and ResNet classifiers, read and written.

    module, variables = load('path/to/folder')     # config.json and model.safetensors
    save(module, variables, 'path/to/new_folder')

Their images are ours with channels last: [b h w c], normalized as the checkpoint's
`preprocessor_config.json` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen
from jaxtyping import Array, PyTree

from jaxcv.errors import UserError, choose
from jaxcv.interop import safetensors
from jaxcv.interop.mapping import KERNEL, Rule, leading, to_tensors, to_tree
from jaxcv.recognition.convnext import ConvNeXt
from jaxcv.recognition.resnet import ResNet
from jaxcv.recognition.vit import ViT

Config = Mapping[str, Any]


def dense(theirs: str, ours: str) -> list[Rule]:
    """A linear layer or a convolution, with or without bias."""
    return [
        Rule(f'{theirs}.weight', f'params/{ours}/kernel', KERNEL),
        Rule(f'{theirs}.bias', f'params/{ours}/bias'),
    ]


def norm(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f'{theirs}.weight', f'params/{ours}/scale'),
        Rule(f'{theirs}.bias', f'params/{ours}/bias'),
    ]


def batch_norm(theirs: str, ours: str) -> list[Rule]:
    return [
        *norm(theirs, ours),
        Rule(f'{theirs}.running_mean', f'batch_stats/{ours}/mean'),
        Rule(f'{theirs}.running_var', f'batch_stats/{ours}/var'),
    ]


LAYER = 'vit.encoder.layer.{i}'
VIT_RULES = [
    Rule('vit.embeddings.cls_token', 'params/class_token', leading(2)),
    Rule('vit.embeddings.position_embeddings', 'params/positions', leading(1)),
    *dense('vit.embeddings.patch_embeddings.projection', 'patches'),
    *norm(f'{LAYER}.layernorm_before', 'block{i}/attention_norm'),
    *dense(f'{LAYER}.attention.attention.{{part}}', 'block{i}/attention/{part:query|key|value}'),
    *dense(f'{LAYER}.attention.output.dense', 'block{i}/attention/out'),
    *norm(f'{LAYER}.layernorm_after', 'block{i}/mlp_norm'),
    *dense(f'{LAYER}.intermediate.dense', 'block{i}/expand'),
    *dense(f'{LAYER}.output.dense', 'block{i}/project'),
    *norm('vit.layernorm', 'norm'),
    *dense('classifier', 'head'),
]
# transformers 5 spells the names in memory anew; files keep the old spelling so far.
VIT_RENAMES = [
    (r'^vit\.layers\.(\d+)\.', r'vit.encoder.layer.\1.'),
    (r'\.attention\.q_proj\.', '.attention.attention.query.'),
    (r'\.attention\.k_proj\.', '.attention.attention.key.'),
    (r'\.attention\.v_proj\.', '.attention.attention.value.'),
    (r'\.attention\.o_proj\.', '.attention.output.dense.'),
    (r'\.mlp\.fc1\.', '.intermediate.dense.'),
    (r'\.mlp\.fc2\.', '.output.dense.'),
]

STAGE = 'convnextv2.encoder.stages.{s}'
CONVNEXT_RULES = [
    *dense('convnextv2.embeddings.patch_embeddings', 'stem_conv'),
    *norm('convnextv2.embeddings.layernorm', 'stem_norm'),
    *norm(f'{STAGE}.downsampling_layer.0', 'stage{s}_norm'),
    *dense(f'{STAGE}.downsampling_layer.1', 'stage{s}_conv'),
    *dense(f'{STAGE}.layers.{{i}}.dwconv', 'stage{s}_block{i}/depthwise'),
    *norm(f'{STAGE}.layers.{{i}}.layernorm', 'stage{s}_block{i}/norm'),
    *dense(f'{STAGE}.layers.{{i}}.pwconv1', 'stage{s}_block{i}/expand'),
    Rule(
        f'{STAGE}.layers.{{i}}.grn.weight',
        'params/stage{s}_block{i}/response_norm/gamma',
        leading(3),
    ),
    Rule(
        f'{STAGE}.layers.{{i}}.grn.bias',
        'params/stage{s}_block{i}/response_norm/beta',
        leading(3),
    ),
    *dense(f'{STAGE}.layers.{{i}}.pwconv2', 'stage{s}_block{i}/project'),
    *norm('convnextv2.layernorm', 'norm'),
    *dense('classifier', 'head'),
]

LAYERS = 'resnet.encoder.stages.{s}.layers.{i}'
RESNET_RULES = [
    *dense('resnet.embedder.embedder.convolution', 'stem_conv'),
    *batch_norm('resnet.embedder.embedder.normalization', 'stem_norm'),
    *dense(f'{LAYERS}.shortcut.convolution', 'stage{s}_block{i}/shortcut_conv'),
    *batch_norm(f'{LAYERS}.shortcut.normalization', 'stage{s}_block{i}/shortcut_norm'),
    *dense(f'{LAYERS}.layer.{{k}}.convolution', 'stage{s}_block{i}/conv{k}'),
    *batch_norm(f'{LAYERS}.layer.{{k}}.normalization', 'stage{s}_block{i}/norm{k}'),
    *dense('classifier.1', 'head'),
]


def vit_fields(config: Config) -> dict[str, Any]:
    return {
        'patch': square(config, 'patch_size', 16),
        'width': config.get('hidden_size', 768),
        'depth': config.get('num_hidden_layers', 12),
        'heads': config.get('num_attention_heads', 12),
        'mlp_width': config.get('intermediate_size', 3072),
        'activation': activation(config, 'gelu'),
        'qkv_bias': config.get('qkv_bias', True),
        'epsilon': config.get('layer_norm_eps', 1e-12),
        'dropout': float(config.get('hidden_dropout_prob', 0.0)),
    }


def vit_config(module: ViT) -> dict[str, Any]:
    return {
        'patch_size': module.patch,
        'hidden_size': module.width,
        'num_hidden_layers': module.depth,
        'num_attention_heads': module.heads,
        'intermediate_size': module.mlp_width,
        'hidden_act': their_activation(module.activation),
        'qkv_bias': module.qkv_bias,
        'layer_norm_eps': module.epsilon,
        'hidden_dropout_prob': module.dropout,
        'attention_probs_dropout_prob': 0.0,
    }


def convnext_fields(config: Config) -> dict[str, Any]:
    return {
        'depths': tuple(config.get('depths') or (3, 3, 9, 3)),
        'widths': tuple(config.get('hidden_sizes') or (96, 192, 384, 768)),
        'patch': square(config, 'patch_size', 4),
        'activation': activation(config, 'gelu'),
        'epsilon': 1e-6,  # fixed in their code; the config's is that of the last norm
        'head_epsilon': config.get('layer_norm_eps', 1e-12),
        'drop_path': float(config.get('drop_path_rate', 0.0)),
    }


def convnext_config(module: ConvNeXt) -> dict[str, Any]:
    refuse(module.kernel != 7, 'their ConvNextV2 has kernels of 7 only')
    refuse(module.epsilon != 1e-6, 'their ConvNextV2 has an epsilon of 1e-6 only')
    return {
        'num_stages': len(module.depths),
        'depths': list(module.depths),
        'hidden_sizes': list(module.widths),
        'patch_size': module.patch,
        'hidden_act': their_activation(module.activation),
        'layer_norm_eps': module.head_epsilon,
        'drop_path_rate': module.drop_path,
    }


def resnet_fields(config: Config) -> dict[str, Any]:
    refuse(activation(config, 'relu') != 'relu', 'a ResNet with another activation than relu')
    return {
        'depths': tuple(config.get('depths') or (3, 4, 6, 3)),
        'widths': tuple(config.get('hidden_sizes') or (256, 512, 1024, 2048)),
        'block': config.get('layer_type', 'bottleneck'),
        'stem_width': config.get('embedding_size', 64),
        'stride_first': config.get('downsample_in_bottleneck', False),
        'first_stride': 2 if config.get('downsample_in_first_stage', False) else 1,
    }


def resnet_config(module: ResNet) -> dict[str, Any]:
    refuse(module.stem != 'large', 'their ResNet has the large stem only')
    refuse(module.epsilon != 1e-5, 'their ResNet has an epsilon of 1e-5 only')
    refuse(module.activation != 'relu', 'their ResNet has relu inside the blocks only')
    return {
        'depths': list(module.depths),
        'hidden_sizes': list(module.widths),
        'layer_type': module.block,
        'embedding_size': module.stem_width,
        'downsample_in_bottleneck': module.stride_first,
        'downsample_in_first_stage': module.first_stride == 2,
        'hidden_act': 'relu',
    }


@dataclass(frozen=True)
class Kind:
    """What is particular to one of their architectures."""

    constructor: type[linen.Module]
    architecture: str
    fields: Callable[[Config], dict[str, Any]]
    config: Callable[[linen.Module], dict[str, Any]]
    rules: list[Rule]
    renames: tuple[tuple[str, str], ...] = ()


KINDS = {
    'vit': Kind(
        ViT, 'ViTForImageClassification', vit_fields, vit_config, VIT_RULES, tuple(VIT_RENAMES)
    ),
    'convnextv2': Kind(
        ConvNeXt,
        'ConvNextV2ForImageClassification',
        convnext_fields,
        convnext_config,
        CONVNEXT_RULES,
    ),
    'resnet': Kind(
        ResNet, 'ResNetForImageClassification', resnet_fields, resnet_config, RESNET_RULES
    ),
}
# Not part of a classifier's function: a pooler that the head does not read, torch's step counts.
IGNORED = (r'vit\.pooler\..*', r'.*\.num_batches_tracked')


def load(folder: str | Path) -> tuple[linen.Module, PyTree[Array]]:
    """The module and its variables of a checkpoint folder; every tensor must fit."""
    return from_tensors(*safetensors.read(folder))


def from_tensors(
    config: Config, tensors: Mapping[str, np.ndarray]
) -> tuple[linen.Module, PyTree[Array]]:
    """`load` from what a folder holds: the config and the tensors by name."""
    kind = KINDS[choose(config.get('model_type'), KINDS, 'model_type in config.json')]
    module = kind.constructor(num_classes=num_labels(config), **kind.fields(config))
    height, width = pair(config.get('image_size', 224))
    images = jax.ShapeDtypeStruct((1, height, width, config.get('num_channels', 3)), np.float32)
    like = jax.eval_shape(module.init, jax.random.key(0), images)
    tree = to_tree(kind.rules, tensors, like, renames=kind.renames, ignore=IGNORED)
    return module, jax.tree.map(jax.numpy.asarray, tree)


def save(
    module: linen.Module,
    variables: PyTree[Array],
    folder: str | Path,
    labels: list[str] | None = None,
) -> None:
    """Writes a folder that `transformers.AutoModelForImageClassification` loads. `labels` are the
    names of the classes."""
    by_class = {kind.constructor: name for name, kind in KINDS.items()}
    refuse(type(module) not in by_class, f'no Hugging Face model is like {type(module).__name__}')
    model_type = by_class[type(module)]
    kind = KINDS[model_type]
    tensors = to_tensors(kind.rules, variables)
    means = [name for name in tensors if name.endswith('.running_mean')]
    counts = [name.replace('running_mean', 'num_batches_tracked') for name in means]
    tensors |= {name: np.zeros((), np.int64) for name in counts}
    params = variables['params']
    entry = params['patches' if model_type == 'vit' else 'stem_conv']['kernel']
    labels = labels or [f'LABEL_{i}' for i in range(module.num_classes)]
    config = {
        'model_type': model_type,
        'architectures': [kind.architecture],
        'num_channels': entry.shape[-2],
        'id2label': {str(i): label for i, label in enumerate(labels)},
        'label2id': {label: i for i, label in enumerate(labels)},
        **kind.config(module),
    }
    if model_type == 'vit':
        config['image_size'] = square_side(len(params['positions']) - 1) * module.patch
    safetensors.write(folder, config, tensors)


ACTIVATIONS = {  # theirs: ours
    'gelu': 'gelu',
    'gelu_new': 'gelu_tanh',
    'gelu_pytorch_tanh': 'gelu_tanh',
    'relu': 'relu',
    'silu': 'silu',
    'swish': 'silu',
}


def activation(config: Config, default: str) -> str:
    return ACTIVATIONS[choose(config.get('hidden_act', default), ACTIVATIONS, 'hidden_act')]


def their_activation(ours: str) -> str:
    theirs = {value: key for key, value in reversed(ACTIVATIONS.items())}
    return theirs[choose(ours, theirs, 'the activation to export')]


def num_labels(config: Config) -> int:
    """As transformers counts: the names of the classes, else `num_labels`, else 2."""
    return len(config.get('id2label') or {}) or config.get('num_labels', 2)


def pair(value: int | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def square(config: Config, field: str, default: int) -> int:
    sides = pair(config.get(field, default))
    refuse(sides[0] != sides[1], f'{field} is {list(sides)}, but must be square')
    return sides[0]


def square_side(area: int) -> int:
    side = round(area**0.5)
    refuse(side**2 != area, f'{area} patches are no square; transformers would need the shape')
    return side


def refuse(condition: bool, why: str) -> None:
    if condition:
        raise UserError(f'this model cannot be converted: {why}')
