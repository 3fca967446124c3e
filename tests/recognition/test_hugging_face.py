"""Random-weight models of transformers against ours: the same logits, both ways."""

import json

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.interop import safetensors
from jaxcv.recognition import hugging_face

RESNET = {'embedding_size': 8, 'depths': [2, 1, 2], 'num_labels': 5}
MODELS = {
    'vit': dict(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        image_size=32,
        patch_size=8,
        num_labels=5,
    ),
    'vit_no_bias': dict(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=24,
        patch_size=8,
        qkv_bias=False,
        hidden_act='gelu_new',
        num_channels=1,
        num_labels=5,
    ),
    'convnextv2': dict(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 2, 1, 1], image_size=64, num_labels=5
    ),
    'resnet_basic': dict(layer_type='basic', hidden_sizes=[8, 16, 24], **RESNET),
    'resnet_bottleneck': dict(layer_type='bottleneck', hidden_sizes=[16, 32, 48], **RESNET),
    'resnet_original': dict(
        layer_type='bottleneck',
        hidden_sizes=[16, 32, 48],
        downsample_in_bottleneck=True,
        downsample_in_first_stage=True,
        **RESNET,
    ),
}
TYPES = {'vit': 'ViT', 'convnextv2': 'ConvNextV2', 'resnet': 'ResNet'}


def reference(name, folder):
    """A model of transformers with every tensor random, saved to `folder`."""
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    kind = TYPES[name.split('_')[0]]
    config = getattr(transformers, f'{kind}Config')(**MODELS[name])
    config._attn_implementation = 'eager'
    model = getattr(transformers, f'{kind}ForImageClassification')(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if key.endswith('running_var'):
                tensor.copy_(0.5 + noise.abs())
            elif 'norm' in key and key.endswith('.weight'):
                tensor.copy_(1 + 0.2 * noise)
            elif tensor.is_floating_point():
                fan_in = max(tensor[0].numel() if tensor.ndim > 1 else 1, 8)
                tensor.copy_(noise / fan_in**0.5)
    model.save_pretrained(folder)
    return model


def pictures(name):
    size = MODELS[name].get('image_size', 64)
    shape = (3, size, size, MODELS[name].get('num_channels', 3))
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def torch_logits(model, images, **options):
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), **options)


@pytest.mark.oracles
@pytest.mark.parametrize('name', MODELS)
def test_same_logits_in_and_out(name, tmp_path):
    model, images = reference(name, tmp_path / 'theirs'), pictures(name)
    wanted = torch_logits(model, images).logits.numpy()
    assert wanted.std() > 0.1

    module, variables = hugging_face.load(tmp_path / 'theirs')
    ours = jax.jit(module.apply)(variables, images)
    np.testing.assert_allclose(ours, wanted, atol=1e-5 * np.abs(wanted).max(), rtol=0)

    import transformers

    hugging_face.save(module, variables, tmp_path / 'ours', list('abcde'))
    back, info = transformers.AutoModelForImageClassification.from_pretrained(
        tmp_path / 'ours', output_loading_info=True
    )
    assert not any(info.values()), info
    assert back.config.id2label[3] == 'd'
    back.set_attn_implementation('eager')
    np.testing.assert_array_equal(torch_logits(back.eval(), images).logits.numpy(), wanted)
    for key, tensor in model.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[key], tensor, err_msg=key)


@pytest.mark.oracles
def test_names_of_either_release_load(tmp_path):
    model, images = reference('vit', tmp_path), pictures('vit')
    config, tensors = safetensors.read(tmp_path)
    in_memory = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    assert in_memory.keys() != tensors.keys()
    old, new = (
        module.apply(variables, images)
        for module, variables in (
            hugging_face.from_tensors(config, tensors),
            hugging_face.from_tensors(config, in_memory),
        )
    )
    np.testing.assert_array_equal(old, new)


@pytest.mark.oracles
def test_attention_maps(tmp_path):
    model, images = reference('vit', tmp_path), pictures('vit')
    wanted = torch_logits(model, images, output_attentions=True).attentions
    module, variables = hugging_face.load(tmp_path)
    logits, maps = module.apply(variables, images, maps=True)
    np.testing.assert_allclose(maps, np.stack(wanted, axis=1), atol=1e-6)
    np.testing.assert_allclose(logits, module.apply(variables, images), atol=1e-5)


@pytest.mark.oracles
def test_every_tensor_must_fit(tmp_path):
    reference('resnet_basic', tmp_path)
    config, tensors = safetensors.read(tmp_path)
    name = 'resnet.encoder.stages.1.layers.0.layer.0.convolution.weight'

    def error(**changed):
        with pytest.raises(UserError) as caught:
            hugging_face.from_tensors(config, {**tensors, **changed})
        return str(caught.value)

    assert f'1 of another shape\n  of another shape: {name} has (16, 8, 3, 2)' in error(
        **{name: tensors[name][..., :2]}
    )
    assert '1 unexpected' in error(stray=np.zeros(3)) and 'stray' in error(stray=np.zeros(3))
    moved = tensors.pop(name)
    assert f'1 missing\n  missing: {name}' in error()
    renamed = name.replace('convolution', 'conv')
    assert f'{name} (nearest: {renamed})' in error(**{renamed: moved})


def test_mistakes_in_the_config(tmp_path):
    (tmp_path / 'config.json').write_text(json.dumps({'model_type': 'vitt'}))
    with pytest.raises(UserError, match=r'model\.safetensors'):
        hugging_face.load(tmp_path)
    with pytest.raises(UserError, match="did you mean 'vit'"):
        hugging_face.from_tensors({'model_type': 'vitt'}, {})
    with pytest.raises(UserError, match=r'patch_size is .* square'):
        hugging_face.from_tensors({'model_type': 'vit', 'patch_size': [8, 16]}, {})
    with pytest.raises(UserError, match='hidden_act'):
        hugging_face.from_tensors({'model_type': 'vit', 'hidden_act': 'mish'}, {})


def filled(module, shape):
    """Random variables of a module, without compiling its initialization."""
    random, images = np.random.default_rng(0), jax.ShapeDtypeStruct(shape, jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)
    return jax.tree.map(lambda x: random.normal(size=x.shape).astype(x.dtype), shapes)


# No field of their config at its default.
UNUSUAL = {
    'vit': dict(
        width=16,
        depth=2,
        heads=2,
        mlp_width=12,
        patch=8,
        activation='silu',
        qkv_bias=False,
        epsilon=1e-3,
        dropout=0.1,
    ),
    'convnextv2': dict(
        depths=(1, 2),
        widths=(8, 12),
        patch=2,
        activation='gelu_tanh',
        head_epsilon=1e-3,
        drop_path=0.2,
    ),
    'resnet': dict(
        depths=(1, 2),
        widths=(8, 12),
        block='bottleneck',
        stem_width=4,
        stride_first=True,
        first_stride=2,
    ),
}


@pytest.mark.parametrize('kind', hugging_face.KINDS)
def test_written_and_read_again(kind, tmp_path):
    module = hugging_face.KINDS[kind].constructor(num_classes=4, **UNUSUAL[kind])
    variables = filled(module, (1, 32, 32, 2))
    hugging_face.save(module, variables, tmp_path)
    again, copies = hugging_face.load(tmp_path)
    assert again == module
    jax.tree.map(np.testing.assert_array_equal, variables, copies)


def test_what_they_do_not_have_is_refused(tmp_path):
    from jaxcv.recognition import MLP, ResNet

    for module in (MLP(3), ResNet(3, (1,), (8,), stem='small')):
        variables = filled(module, (1, 16, 16, 3))
        with pytest.raises(UserError, match='cannot be converted'):
            hugging_face.save(module, variables, tmp_path)
