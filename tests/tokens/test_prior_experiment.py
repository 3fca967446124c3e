"""The experiment: every method learns, is judged, shown and exported; mistakes are sentences."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

import experiments
from jaxcv import data
from jaxcv.autoencoder.encodings import encodings
from jaxcv.data import encoded
from jaxcv.errors import UserError
from jaxcv.tokens.autoencoder import ConvTokenizer
from jaxcv.tokens.quantizers import quantizer
from jaxcv.tokens.stage import TokenStage, tokens
from jaxcv.train import config as configs
from jaxcv.train import run

METHODS = ['', ':autoregressive', ':pixelcnn', ':var']
TINY = {
    'data.name': 'digits',
    'data.image_size': 0,
    'model.width': 16,
    'model.depth': 1,
    'train.steps': 3,
    'train.batch_size': 16,
    'train.ema': 0.0,
    'judged.count': 32,
}


def tokenizer(variant='', channels=1, size=8) -> TokenStage:
    """Of random weights: its codes say something of the picture."""
    fields = {'codes': 16, 'scales': (1, 2, 4)} if variant == ':var' else {'codes': 16}
    made = quantizer('multiscale' if variant == ':var' else 'vq', **fields)
    halves = {'widths': (4, 4), 'blocks': 0, 'middle_attention': False, 'groups': 1}
    module = ConvTokenizer(made, latents=4, channels=channels, **halves)
    shape = (size, size, channels)
    variables = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, *shape)))
    learned = variables['params']['bottleneck']['learned']
    learned['codebook'] = jax.random.normal(jax.random.key(1), learned['codebook'].shape)
    return tokens(module, {'statistics': {'bottleneck': {}}, **variables}, shape)


def load(variant='', **changes):
    config = configs.load(f'configs/tokens/shapes_maskgit.py{variant}')
    for name, value in {**TINY, **changes}.items():
        configs.override(config, name, value)
    if variant != ':pixelcnn':
        config.model.heads = 2
    if variant == '':
        config.sampler.steps = 4
    return config


def seconds(variables, images):
    """A judge that sees the means of the quarters of a picture."""
    features = images.reshape(len(images), 2, 4, 2, 4).mean((2, 4)).reshape(len(images), 4)
    return jnp.tile(features, (1, 3))[:, :10], features


class Judge:
    apply = staticmethod(seconds)
    variables = ()


@pytest.mark.parametrize('variant', METHODS)
def test_scores_pictures_and_export(variant):
    made = experiments.assemble(load(variant), tokenizer=tokenizer(variant), judge=Judge)
    state = jax.jit(made.init)(jax.random.key(0))
    scores = made.evaluate(state, jax.random.key(1))
    assert {'nats', 'frechet', 'frechet_ratio', 'accuracy', 'recall'} < set(scores)
    assert scores['nats'] == pytest.approx(np.log(16), abs=0.2)  # it knows nothing yet
    edits = {'': {'inpainting', 'outpainting', 'class_edit'}, ':var': set()}
    media = made.show(state, jax.random.key(2))
    assert set(media) == {'samples', 'filmstrip'} | edits.get(variant, {'completion'})
    for picture in media.values():
        assert np.isfinite(picture.pixels).all() and min(picture.pixels.shape[:2]) > 60
    assert made.export(state).stage.vocabulary == 16


@pytest.mark.parametrize('variant', METHODS)
def test_it_learns(variant, tmp_path):
    """The frequencies of the codes are learned first; more is known of them by their places."""
    stage = tokenizer(variant)
    config = load(variant, **{'train.steps': 250, 'optim.warmup': 5, 'optim.lr': 5e-3})
    made = experiments.assemble(config, tokenizer=stage)
    codes = jax.jit(stage.tokenize)(data.signed(data.arrays(data.load('digits'))['image']))
    share = np.bincount(np.asarray(codes).ravel(), minlength=16) / codes.size
    entropy = -(share * np.log(np.maximum(share, 1e-9))).sum()
    result = run(made, config, tmp_path, devices=jax.devices()[:1])
    assert result.metrics['nats'] < entropy - 0.05


def test_codes_may_be_stored(tmp_path):
    stage = tokenizer()
    rows = {split: encodings(stage, data.load('digits', split), 256) for split in ('train', 'test')}
    classes = data.load('digits').classes
    encoded.write(
        tmp_path / 'codes', rows, source='digits', classes=classes, fingerprint=stage.fingerprint
    )
    made = [
        experiments.assemble(load(**{'codes.path': path}), tokenizer=stage)
        for path in ('', str(tmp_path / 'codes'))
    ]
    for name in ('codes', 'label'):
        np.testing.assert_array_equal(*(m.batches.arrays[name] for m in made))
    with pytest.raises(UserError, match='was encoded by'):
        experiments.assemble(
            load(**{'codes.path': str(tmp_path / 'codes')}),
            tokenizer=tokenizer(channels=1, size=8, variant=':var'),
        )


def test_captions_are_told_and_read(tmp_path):
    """Pairs that are withheld are in no caption of the training, and in all of the test."""
    changes = {
        'data.name': 'shapes',
        'data.image_size': 32,
        'told': {'what': 'text', 'withheld': 8},
        'judged': {'captions': 8},
    }
    made = experiments.assemble(
        load(':autoregressive', **changes), tokenizer=tokenizer(channels=3, size=32)
    )
    arrays = made.batches.arrays
    assert set(arrays) == {'codes', 'text'} and 4000 < len(arrays['codes']) < 8192
    state = jax.jit(made.init)(jax.random.key(0))
    scores = made.evaluate(state, jax.random.key(1))
    assert scores['captions'] == scores['captions_shapes'] == 0  # of noise


@pytest.mark.parametrize(
    ('variant', 'changes', 'words'),
    [
        ('', {'method.name': 'maskgid'}, "did you mean 'maskgit'"),
        ('', {'told.what': 'labels'}, 'config.told.what'),
        ('', {'sampler.steps': 17}, 'choose between 1 and 16'),
        (':var', {}, 'quantizer of the tokenizer is VQ'),
        (':pixelcnn', {'told.what': 'text', 'data.name': 'shapes', 'data.image_size': 32}, 'texts'),
        ('', {'told.what': 'text'}, 'has no captions'),
    ],
)
def test_mistakes_are_sentences(variant, changes, words):
    shapes = changes.get('data.name') == 'shapes'
    stage = tokenizer(channels=3, size=32) if shapes else tokenizer()
    config = load(variant, **changes)
    if 'sampler.steps' in changes:
        config.sampler.steps = changes['sampler.steps']
    with pytest.raises(UserError, match=words):
        experiments.assemble(config, tokenizer=stage)


def test_a_tokenizer_is_needed():
    with pytest.raises(UserError, match='makes no codes'):
        experiments.assemble(load(), tokenizer='an autoencoder of latents')


def test_few_captions_are_shown_again():
    """As are the pictures drawn from them."""
    from experiments.prior import Split, captions_of, rows_of

    few = Split({'codes': np.arange(6).reshape(3, 2)}, ['a', 'b', 'c'])
    assert captions_of(few, 5) == ['a', 'b', 'c', 'a', 'b']
    np.testing.assert_array_equal(rows_of(few, range(5))['codes'][:, 0], [0, 2, 4, 0, 2])
    assert captions_of(Split(few.arrays, []), 5) == []
