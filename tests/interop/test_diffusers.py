"""Random-weight models of diffusers against ours: the same outputs, both ways, and exact files."""

import inspect
import json
from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.autoencoder import KLAutoencoder
from jaxcv.autoencoder import diffusers as autoencoders
from jaxcv.diffusion import diffusers as networks
from jaxcv.diffusion.networks import Condition, DiT, UNet, sinusoidal
from jaxcv.errors import UserError
from jaxcv.interop import safetensors
from jaxcv.interop.diffusers import STEM
from jaxcv.tokens import diffusers as tokenizers

read = partial(safetensors.read, stem=STEM)

ATTENDING_DOWN = ['DownBlock2D', 'AttnDownBlock2D']
ATTENDING_UP = ['AttnUpBlock2D', 'UpBlock2D']
UNET = {'block_out_channels': [8, 16], 'norm_num_groups': 4, 'layers_per_block': 1}
PLAIN = UNET | {'down_block_types': ATTENDING_DOWN, 'up_block_types': ATTENDING_UP}
CROSS = UNET | {
    'down_block_types': ['CrossAttnDownBlock2D', 'DownBlock2D'],
    'up_block_types': ['UpBlock2D', 'CrossAttnUpBlock2D'],
    'cross_attention_dim': 6,
    'attention_head_dim': 2,
}
LEVELS = {
    'down_block_types': ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    'up_block_types': ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    'block_out_channels': [8, 16],
    'norm_num_groups': 4,
}
ATTENDING = {
    'down_block_types': ['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'],
    'up_block_types': ['AttnUpDecoderBlock2D', 'UpDecoderBlock2D'],
}
DIT = {'num_attention_heads': 2, 'attention_head_dim': 8, 'num_layers': 2, 'sample_size': 8}
MODELS = {
    'UNet2DModel': {
        'plain': PLAIN | {'attention_head_dim': 4, 'layers_per_block': 2},
        'ddpm': PLAIN
        | {
            'attention_head_dim': None,
            'flip_sin_to_cos': False,
            'freq_shift': 1,
            'downsample_padding': 0,
            'norm_eps': 1e-6,
        },
        'adm': UNET
        | {
            'down_block_types': ['ResnetDownsampleBlock2D', 'AttnDownBlock2D'],
            'up_block_types': ['AttnUpBlock2D', 'ResnetUpsampleBlock2D'],
            'downsample_type': 'resnet',
            'upsample_type': 'resnet',
            'resnet_time_scale_shift': 'scale_shift',
            'num_class_embeds': 5,
            'out_channels': 6,
        },
        'scale_shift_norm': PLAIN
        | {'resnet_time_scale_shift': 'scale_shift', 'attn_norm_num_groups': 4},
        'no_attention': UNET
        | {
            'down_block_types': ['DownBlock2D'] * 2,
            'up_block_types': ['UpBlock2D'] * 2,
            'add_attention': False,
            'in_channels': 1,
            'out_channels': 3,
            'time_embedding_dim': 24,
        },
        'no_middle': PLAIN | {'mid_block_type': None, 'attention_head_dim': 16},
        'three_levels': PLAIN
        | {
            'block_out_channels': [8, 8, 16],
            'down_block_types': ['AttnDownBlock2D', 'DownBlock2D', 'AttnDownBlock2D'],
            'up_block_types': ['AttnUpBlock2D', 'UpBlock2D', 'AttnUpBlock2D'],
        },
    },
    'UNet2DConditionModel': {
        'cross': CROSS,
        'linear': CROSS | {'use_linear_projection': True, 'attention_head_dim': [2, 4]},
        'deep': CROSS | {'transformer_layers_per_block': [2, 1], 'layers_per_block': 2},
        'labels': CROSS | {'num_class_embeds': 5, 'resnet_time_scale_shift': 'scale_shift'},
        'vectors': CROSS
        | {'class_embed_type': 'projection', 'projection_class_embeddings_input_dim': 7},
        'sdxl': CROSS
        | {
            'addition_embed_type': 'text_time',
            'addition_time_embed_dim': 8,
            'projection_class_embeddings_input_dim': 7 + 6 * 8,
            'use_linear_projection': True,
        },
        'no_middle': CROSS | {'mid_block_type': None, 'in_channels': 9},
    },
    'DiTTransformer2DModel': {
        'plain': DIT | {'num_embeds_ada_norm': 5},
        'learned_variance': DIT | {'num_embeds_ada_norm': 5, 'out_channels': 8, 'norm_eps': 1e-3},
        'patches_of_four': DIT
        | {
            'num_embeds_ada_norm': 3,
            'patch_size': 4,
            'in_channels': 3,
            'activation_fn': 'gelu',
            'num_layers': 1,
        },
    },
    'AutoencoderKL': {
        'plain': LEVELS | {'latent_channels': 2},
        'attention': LEVELS | ATTENDING | {'layers_per_block': 2, 'scaling_factor': 0.5},
        'attending_decoder': LEVELS | {'up_block_types': ATTENDING['up_block_types']},
        'no_projections': LEVELS
        | {
            'use_quant_conv': False,
            'use_post_quant_conv': False,
            'mid_block_add_attention': False,
            'shift_factor': 0.25,
            'sample_size': 64,
            'force_upcast': False,
            'in_channels': 1,
            'out_channels': 1,
        },
        'relu': LEVELS | {'act_fn': 'relu'},
    },
    'VQModel': {
        'plain': LEVELS | {'num_vq_embeddings': 16},
        'attention': LEVELS | ATTENDING | {'vq_embed_dim': 5, 'lookup_from_codebook': True},
        'three_levels': {
            'down_block_types': ['DownEncoderBlock2D'] * 3,
            'up_block_types': ['UpDecoderBlock2D'] * 3,
            'block_out_channels': [4, 8, 8],
            'norm_num_groups': 2,
            'mid_block_add_attention': False,
            'act_fn': 'gelu',
        },
    },
}
CASES = [(kind, name) for kind, names in MODELS.items() for name in names]


def room(kind):
    rooms = (networks, autoencoders, tokenizers)
    return next(room for room in rooms if kind in room.KINDS)


def reference(kind, name, folder):
    """A model of diffusers with every tensor random, saved to `folder`."""
    torch = pytest.importorskip('torch')
    diffusers = pytest.importorskip('diffusers')
    model = getattr(diffusers, kind)(**MODELS[kind][name]).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if 'norm' in key and key.endswith('.weight') and tensor.ndim == 1:
                tensor.copy_(1 + 0.2 * noise)
            else:
                fan_in = max(tensor[0].numel() if tensor.ndim > 1 else 1, 8)
                tensor.copy_(noise / fan_in**0.5)
    model.save_pretrained(folder)
    return model


def arrays(model):
    """Everything that a model of these kinds may be given, as arrays of ours."""
    config, generator = model.config, np.random.default_rng(0)
    side = 8 if 'patch_size' in config else 16

    def normal(*shape):
        return generator.normal(size=shape).astype(np.float32)

    given = {'x': normal(3, side, side, config['in_channels'])}
    given['time'] = np.array([0, 7, 999])
    classes = config.get('num_class_embeds') or config.get('num_embeds_ada_norm')
    if classes:
        given['label'] = np.array([0, classes - 1, 1])
    if 'cross_attention_dim' in config:
        given['tokens'] = normal(3, 4, config['cross_attention_dim'])
    if config.get('class_embed_type') == 'projection':
        given['vector'] = normal(3, config['projection_class_embeddings_input_dim'])
    if config.get('addition_embed_type'):
        given['pooled'], given['ids'] = normal(3, 7), np.arange(18.0).reshape(3, 6) * 50
    return given


def theirs(model, given):
    """Output of their network, or (what the encoder gives, output) of their autoencoder."""
    import torch

    given = {name: torch.tensor(np.asarray(x)) for name, x in given.items()}
    x = given['x'].permute(0, 3, 1, 2)
    kind = type(model).__name__
    with torch.no_grad():
        if kind == 'AutoencoderKL':
            posterior = model.encode(x).latent_dist
            outputs = [posterior.mean, posterior.logvar, model.decode(posterior.mean).sample]
        elif kind == 'VQModel':
            vectors = model.encode(x).latents
            outputs = [vectors, model.decode(vectors).sample]
        else:
            outputs = [model(x, given['time'], **named(kind, given)).sample]
    return [y.permute(0, 2, 3, 1).numpy() for y in outputs]


def named(kind, given):
    labels = given.get('vector', given.get('label'))
    options = {} if labels is None else {'class_labels': labels}
    if kind == 'UNet2DConditionModel':
        options['encoder_hidden_states'] = given['tokens']
    if 'pooled' in given:
        added = {'text_embeds': given['pooled'], 'time_ids': given['ids'].float()}
        options['added_cond_kwargs'] = added
    return options


def ours(module, variables, given):
    kind = type(module).__name__
    if kind == 'KLAutoencoder':
        output, posterior = jax.jit(module.apply)(variables, given['x'])
        return [*posterior, output]
    if kind == 'ConvTokenizer':
        vectors = module.apply(variables, given['x'], method='encode')
        found = module.apply(variables, vectors, method='quantize')
        return [vectors, module.apply(variables, found.values, method='decode')]
    given = dict(given)
    if 'pooled' in given:
        waves = jax.vmap(lambda ids: sinusoidal(ids, 8).ravel())(jnp.asarray(given['ids']))
        given['vector'] = jnp.concatenate([given['pooled'], waves], axis=-1)
    condition = Condition(*(given.get(name) for name in ('label', 'tokens')), None)
    condition = condition._replace(vector=given.get('vector'))
    time = jnp.asarray(given['time'], jnp.float32)
    return [jax.jit(module.apply)(variables, given['x'], time, condition)]


def difference(kind, name, folder):
    """Largest absolute difference between our outputs and theirs."""
    model = reference(kind, name, folder)
    given = arrays(model)
    wanted = theirs(model, given)
    module, variables = room(kind).load(folder)
    found = ours(module, variables, given)
    assert all(y.std() > 0.1 for y in wanted)
    return max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True))


@pytest.mark.oracles
@pytest.mark.parametrize(('kind', 'name'), CASES)
def test_same_outputs(kind, name, tmp_path):
    assert difference(kind, name, tmp_path) < 1e-4


@pytest.mark.oracles
def test_odd_sides_give_the_same_outputs(tmp_path):
    model = reference('UNet2DConditionModel', 'cross', tmp_path)
    given = arrays(model)
    given['x'] = given['x'][:, :15, :13]
    module, variables = networks.load(tmp_path)
    (found,), (wanted,) = ours(module, variables, given), theirs(model, given)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.oracles
@pytest.mark.parametrize(('kind', 'name'), CASES)
def test_files_survive_a_round_trip(kind, name, tmp_path):
    """Tensor by tensor and field by field, and diffusers loads what we wrote."""
    torch = pytest.importorskip('torch')
    diffusers = pytest.importorskip('diffusers')
    model = reference(kind, name, tmp_path / 'theirs')
    module, variables = room(kind).load(tmp_path / 'theirs')
    config, tensors = read(tmp_path / 'theirs')
    free = {field: config[field] for field in room(kind).KINDS[kind].free}
    room(kind).save(module, variables, tmp_path / 'ours', **free)
    new_config, new_tensors = read(tmp_path / 'ours')
    assert normalized(new_config) == normalized(config)
    assert new_tensors.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(new_tensors[key], tensor, err_msg=key)
        assert new_tensors[key].dtype == tensor.dtype
    back, info = getattr(diffusers, kind).from_pretrained(
        tmp_path / 'ours', output_loading_info=True
    )
    assert not any(info.values()), info
    for key, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[key], tensor), key


def normalized(config):
    """Without their version; None for what they count as a repetition of another field."""
    config = {key: value for key, value in config.items() if key != '_diffusers_version'}
    if config['_class_name'] == 'DiTTransformer2DModel':
        config['out_channels'] = config['out_channels'] or config['in_channels']
    return config


@pytest.mark.oracles
@pytest.mark.parametrize('kind', MODELS)
def test_every_field_of_theirs_is_known(kind):
    """With its default; so a release with a new field fails here."""
    diffusers = pytest.importorskip('diffusers')
    parameters = inspect.signature(getattr(diffusers, kind).__init__).parameters
    theirs = {name: p.default for name, p in parameters.items() if name != 'self'}
    table = room(kind).KINDS[kind]
    parts = [table.defaults, table.fixed, table.free]
    assert sum(map(len, parts)) == len(theirs)
    assert table.defaults | table.fixed | table.free == theirs


@pytest.mark.oracles
def test_old_spelling_of_attention_loads(tmp_path):
    reference('AutoencoderKL', 'attention', tmp_path / 'new')
    config, tensors = read(tmp_path / 'new')
    spellings = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value', 'to_out.0': 'proj_attn'}
    old = {}
    for key, tensor in tensors.items():
        for new, before in spellings.items():
            key = key.replace(f'.{new}.', f'.{before}.')
        old[key] = tensor
    assert old.keys() != tensors.keys()
    _, wanted = autoencoders.from_tensors(config, tensors)
    _, found = autoencoders.from_tensors(config, old)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.oracles
def test_the_old_name_of_a_dit_loads(tmp_path):
    """With the fields of the class it then was; as in the published weights."""
    diffusers = pytest.importorskip('diffusers')
    model = reference('DiTTransformer2DModel', 'plain', tmp_path)
    given = arrays(model)
    parameters = inspect.signature(diffusers.Transformer2DModel.__init__).parameters
    old = {name: p.default for name, p in parameters.items() if name != 'self'}
    config, tensors = read(tmp_path)
    config = old | config | {'_class_name': 'Transformer2DModel'}
    (tmp_path / 'config.json').write_text(json.dumps(config))
    back = diffusers.Transformer2DModel.from_pretrained(tmp_path).eval()
    (found,) = ours(*networks.load(tmp_path), given)
    np.testing.assert_allclose(found, theirs(back, given)[0], atol=1e-4)
    with pytest.raises(UserError, match=r'only .ada_norm_zero. is supported'):
        networks.from_tensors(config | {'norm_type': 'ada_norm_single'}, tensors)


@pytest.mark.oracles
def test_equal_embeddings_of_a_dit_become_one(tmp_path):
    """As in the published weights, and the file is as it was."""
    reference('DiTTransformer2DModel', 'plain', tmp_path)
    config, tensors = read(tmp_path)
    first = 'transformer_blocks.0.norm1.emb.'
    for name in list(tensors):
        if name.startswith(first):
            tensors[name.replace('.0.', '.1.', 1)] = tensors[name]
    module, variables = networks.from_tensors(config, tensors)
    assert not module.embed_per_block and 'embedding' in variables['params']
    networks.save(module, variables, tmp_path / 'ours', sample_size=8)
    _, back = read(tmp_path / 'ours')
    assert back.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(back[key], tensor, err_msg=key)


# Without diffusers


def written(folder):
    """A small autoencoder of ours in a folder, its config and tensors."""
    module = KLAutoencoder(2, (4, 8), 1, (False, True), groups=2, scale=0.5, shift=0.25)
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))
    generator = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: generator.normal(size=x.shape).astype(x.dtype), like)
    autoencoders.save(module, variables, folder, sample_size=48)
    return module, variables, *read(folder)


def test_what_is_saved_is_loaded(tmp_path):
    module, variables, config, _ = written(tmp_path)
    assert config['sample_size'] == 48 and config['scaling_factor'] == 0.5
    back, found = autoencoders.load(tmp_path)
    assert back == module
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_shards_are_read(tmp_path):
    _, variables, config, tensors = written(tmp_path / 'one')
    safetensors.write(tmp_path / 'two', config, tensors, STEM, shard_bytes=1000)
    assert (tmp_path / 'two' / 'diffusion_pytorch_model.safetensors.index.json').is_file()
    _, found = autoencoders.load(tmp_path / 'two')
    jax.tree.map(np.testing.assert_array_equal, found, variables)


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [
        ({'_class_name': 'AutoencoderTiny'}, "is 'AutoencoderTiny', but must be one of Auto"),
        ({'tiles': 2}, "has a field 'tiles' .of value 2., which the AutoencoderKL of diffusers"),
        ({'latents_mean': [0.0]}, 'latents_mean=.*, but only None is supported'),
        ({'act_fn': 'mish'}, "act_fn is 'mish', but must be one of"),
        ({'down_block_types': ['DownEncoderBlock2D']}, 'has 1 entries for 2 levels'),
        ({'up_block_types': ['UpBlock2D'] * 2}, 'a block type in up_block_types'),
        ({'block_out_channels': [4, 16]}, 'of another shape'),
        ({'use_quant_conv': False}, 'unexpected: quant_conv.bias; quant_conv.weight'),
        ({'layers_per_block': 2}, 'missing: .*decoder.up_blocks.0.attentions.2'),
    ],
)
def test_a_config_that_does_not_fit_is_a_sentence(tmp_path, fields, sentence):
    _, _, config, tensors = written(tmp_path)
    with pytest.raises(UserError, match=sentence):
        autoencoders.from_tensors(config | fields, tensors)


def test_missing_and_left_over_weights_are_named(tmp_path):
    _, _, config, tensors = written(tmp_path)
    kernel = tensors.pop('decoder.conv_in.weight')
    with pytest.raises(UserError, match=r'1 missing.*\n.*missing: decoder.conv_in.weight'):
        autoencoders.from_tensors(config, tensors)
    with pytest.raises(UserError, match=r'1 unexpected.*\n.*unexpected: decoder.extra'):
        tensors |= {'decoder.conv_in.weight': kernel, 'decoder.extra': kernel}
        autoencoders.from_tensors(config, tensors)


def test_mistakes_with_folders_are_sentences(tmp_path):
    module, variables, *_ = written(tmp_path)
    with pytest.raises(UserError, match='already holds a checkpoint'):
        autoencoders.save(module, variables, tmp_path)
    with pytest.raises(UserError, match=r'is no folder; expected one with config\.json'):
        autoencoders.load(tmp_path / 'absent')
    with pytest.raises(UserError, match=r"sample_sise.*did you mean 'sample_size'"):
        autoencoders.save(module, variables, tmp_path / 'other', sample_sise=3)
    (tmp_path / safetensors.single(STEM)).rename(tmp_path / 'model.bin')
    with pytest.raises(UserError, match=r'neither diffusion_pytorch_model\.saf.*; it holds .*bin'):
        autoencoders.load(tmp_path)


UNETS = [
    (UNet((4, 8), 1, ('none', 'self'), groups=2, heads=2, vector=True), 'no vector'),
    (UNet((4, 8), 1, ('self', 'self'), groups=2, heads=2), 'heads of one width'),
    (UNet((4, 8), 1, ('self', 'cross'), middle='cross', groups=2, heads=2), 'has no self'),
    (UNet((4, 8), 1, ('none', 'cross'), middle='none', groups=2, heads=2), 'middle of their cond'),
    (UNet((4, 8), 1, ('none', 'none'), groups=2, heads=2, middle_norm=False), 'has a norm'),
    (DiT(5, 2, 8, 1, 2, variant='in_context'), 'the variant adaln_zero only'),
    (DiT(None, 2, 8, 1, 2, time_shift=1.0), 'their DiT has classes'),
    (DiT(5, 2, 8, 1, 2), 'time_shift of 1 only'),
]


@pytest.mark.parametrize(('module', 'sentence'), UNETS)
def test_what_diffusers_has_no_place_for_is_a_sentence(module, sentence, tmp_path):
    condition = Condition(
        label=None if module.num_classes is None else jnp.zeros(1, int),
        tokens=jnp.zeros((1, 2, 3)) if 'cross' in getattr(module, 'attention', ()) else None,
        vector=jnp.zeros((1, 3)) if getattr(module, 'vector', False) else None,
    )
    x = jnp.zeros((1, 4, 4, 3))
    like = jax.eval_shape(module.init, jax.random.key(0), x, jnp.zeros(1), condition)
    with pytest.raises(UserError, match=sentence):
        networks.save(module, like, tmp_path)
    with pytest.raises(UserError, match='no model of diffusers is like this'):
        autoencoders.save(module, like, tmp_path)
