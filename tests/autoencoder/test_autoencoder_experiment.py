"""The experiment: it learns, says how well, and exports a stage in standard units."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

import experiments
from jaxcv import data
from jaxcv.autoencoder.stage import Stage
from jaxcv.errors import UserError
from jaxcv.tokens import codebook, kinds
from jaxcv.train import config as configs
from jaxcv.train import run

TINY = {
    'data.name': 'digits',
    'data.image_size': 0,
    'model.widths': (8, 8),
    'model.groups': 1,
    'train.steps': 3,
    'train.batch_size': 16,
}


def load(variant='', **changes):
    config = configs.load(f'configs/autoencoder/shapes.py{variant}')
    for name, value in {**TINY, **changes}.items():
        configs.override(config, name, value)
    return config


def started(config):
    config.train.ema = 0.0  # an average of nothing is 0
    made = experiments.build(config)
    return made, jax.jit(made.init)(jax.random.key(0))


def test_reconstruction_is_learned(tmp_path):
    """Gray everywhere is at 8.5 dB, the mean digit at 11.4, all that learns nothing of an image."""
    config = load(**{'train.steps': 150, 'train.ema': 0.9, 'optim.warmup': 10})
    result = run(experiments.build(config), config, tmp_path, devices=jax.devices()[:1])
    assert result.metrics['psnr'] > 14
    assert result.metrics['kl_bits'] > 100


@pytest.mark.parametrize('variant', ['', ':codes'])
def test_scores_pictures_and_stage(variant):
    made, state = started(load(variant))
    scores = made.evaluate(state, jax.random.key(1))
    own = {'': {'kl_bits'}, ':codes': {'perplexity', 'usage'}}[variant]
    assert set(scores) == {'psnr', 'l1'} | own
    assert all(np.isfinite(list(scores.values())))
    media = made.show(state, jax.random.key(2))
    others = {'': set(), ':codes': {'usage'}}[variant]
    assert set(media) == {'reconstructions', 'latents'} | others
    for picture in media.values():
        assert np.isfinite(picture.pixels).all() and min(picture.pixels.shape[:2]) > 60

    stage = made.export(state)
    assert isinstance(stage, Stage)
    images = jnp.asarray(made.batches.arrays['image'][:400], jnp.float32) / 127.5 - 1
    latents = jax.jit(stage.encode)(images, jax.random.split(jax.random.key(3), 400))
    assert latents.shape == (400, 4, 4, 4)
    np.testing.assert_allclose([latents.mean(), latents.std()], [0, 1], atol=0.05)


def test_scores_are_means_over_the_images():
    """Against numpy, over a test set that fills no whole number of batches."""
    config = load(':codes')
    made, state = started(config)
    vectors = np.random.default_rng(0).normal(size=(512, 4))  # a fresh one has few codes in reach
    counted = state.aux['statistics']['bottleneck']['counted']
    changed = counted._replace(codebook=jnp.asarray(vectors, jnp.float32))
    state.aux['statistics']['bottleneck']['counted'] = changed
    scores = made.evaluate(state, jax.random.key(1))
    test = data.arrays(data.load('digits', 'test'))['image'] / 127.5 - 1
    _, network = kinds.kind(config.model.to_dict(), config.quantizer.to_dict(), channels=1)
    apply = jax.jit(lambda x: network.apply({'params': state.eval_params(), **state.aux}, x))
    output, found = apply(jnp.asarray(test, jnp.float32))
    error = np.square(np.clip(output, -1, 1) - test).mean((1, 2, 3))
    assert scores['psnr'] == pytest.approx(np.mean(10 * np.log10(4 / error)), rel=1e-4)
    assert scores['l1'] == pytest.approx(np.abs(output - test).mean(), rel=1e-4)
    assert scores['perplexity'] == pytest.approx(
        float(codebook.perplexity(found.codes, 512)), rel=1e-3
    )
    assert 10 < scores['perplexity'] < 512 * scores['usage']
    assert scores['usage'] == len(np.unique(found.codes)) / 512


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'model.name': 'vae'}, "config.model.name is 'vae'"),
        ({'model.name': 'conv'}, 'needs config.quantizer'),
        ({'quantizer': {'name': 'vq'}}, 'needs a model of codes'),
        ({'objective': {'adversary': {'weight': 0.2}}}, 'name it in config.adversary'),
        ({'model.witdhs': (8,)}, "did you mean 'widths'"),
        ({'objective.distance': 'l3'}, 'the distance of a reconstruction'),
        ({'model.groups': 3}, 'the groups must divide'),
        ({'model.widths': (8, 8, 8, 8, 8)}, 'multiples of 16'),
    ],
)
def test_mistakes_are_sentences(changes, words):
    with pytest.raises(UserError, match=words):
        made = experiments.build(load(**changes))
        key = jax.random.key(0)
        state = jax.eval_shape(made.init, key)
        batch = {'image': jnp.zeros((1, 8, 8, 1), jnp.uint8)}
        jax.eval_shape(made.step, state, batch, key)


def test_a_discriminator_has_its_say():
    """From its start on the discriminator learns, and moves the autoencoder; not before."""
    objective = {'distance': 'l2', 'weight': 1e-3, 'adversary': {'start': 1, 'r1': 1.0, 'every': 2}}
    changes = {'adversary': {'name': 'patch', 'width': 8, 'layers': 1}, 'objective': objective}
    made, state = started(load(':codes', **changes))
    batch = {'image': made.batches.arrays['image'][:16]}
    first, metrics = jax.jit(made.step)(state, batch, jax.random.key(1))
    assert metrics['generator/weight'] == 0 and metrics['discriminator/loss'] == 0
    for before, after in zip(*map(leaves, (state, first)), strict=True):
        np.testing.assert_array_equal(before, after)  # it has not moved
    second, metrics = jax.jit(made.step)(first, batch, jax.random.key(2))
    assert metrics['generator/weight'] > 0 and metrics['discriminator/loss'] > 0
    assert any((a != b).any() for a, b in zip(*map(leaves, (first, second)), strict=True))
    scores = made.evaluate(second, jax.random.key(3))
    assert set(scores) == {'psnr', 'l1', 'perplexity', 'usage'}
    assert made.export(second).vocabulary == 512


def leaves(state):
    return jax.tree.leaves(state.discriminator.params)


def test_features_say_how_alike_pictures_look():
    class Features:
        maps = staticmethod(lambda x: [x, x[:, ::2, ::2]])

    changes = {'objective': {'distance': 'l2', 'weight': 1e-3, 'perceptual': 0.5}}
    config = load(**changes)
    config.train.ema = 0.0
    made = experiments.assemble(config, features=Features)
    state = jax.jit(made.init)(jax.random.key(0))
    batch = {'image': made.batches.arrays['image'][:16]}
    _, metrics = jax.jit(made.step)(state, batch, jax.random.key(1))
    assert metrics['perceptual'] > 0
    with pytest.raises(UserError, match=r'config.needs.features'):
        experiments.build(load(**changes))
