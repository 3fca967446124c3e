import shutil

import jax
import numpy as np
import pytest
from jax import numpy as jnp

import experiments
from jaxcv import data
from jaxcv.autoencoder import KLAutoencoder
from jaxcv.autoencoder import stage as stages
from jaxcv.data import encoded
from jaxcv.diffusion import masks, schedules
from jaxcv.diffusion.networks import Condition
from jaxcv.diffusion.networks.classifier import Guide
from jaxcv.errors import UserError
from jaxcv.train import config as configs

TINY = {
    'model.width': 16,
    'model.depth': 1,
    'model.heads': 2,
    'sampler.steps': 4,
    'train.steps': 4,
    'train.batch_size': 16,
}


def tiny(**changes):
    config = configs.load('configs/diffusion/digits.py')
    config.needs, config.latents = {}, {'path': ''}
    for name, value in {**TINY, **changes}.items():
        configs.override(config, name, value)
    return config


def build(**changes):
    return experiments.build(tiny(**changes))


def test_pictures_of_every_kind_are_shown():
    made = build()
    state = jax.jit(made.init)(jax.random.key(0))
    media = made.show(state, jax.random.key(1))
    names = {'samples', 'strip', 'guidance', 'inversion', 'interpolation', 'inpainting'}
    assert set(media) == names
    for picture in media.values():
        assert np.isfinite(picture.pixels).all() and min(picture.pixels.shape[:2]) > 60


def test_what_is_exported_denoises():
    made = build()
    state = jax.jit(made.init)(jax.random.key(0))
    found = made.export(state)
    assert found.shape == (8, 8, 1) and found.null == 10
    level = found.process.level(jnp.float32(0.3))
    x = jnp.ones((2, 8, 8, 1))
    prediction = found.denoise(x, level, Condition(label=jnp.array([1, 10])))
    again = level.alpha * prediction.x0 + level.sigma * prediction.noise
    np.testing.assert_allclose(again, x, atol=1e-5)


def test_a_network_that_fills_in_looks_at_what_is_known():
    made = build(**{'objective.fills': True})
    state = jax.jit(made.init)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 2)
    apply = made.export(state).denoise
    level = schedules.flow().level(jnp.float32(0.5))
    x, label = jnp.zeros((2, 8, 8, 1)), jnp.array([1, 2])
    # A fresh network gives 0 whatever it sees; its first layer has the channels of what is known.
    kernel = jax.tree.leaves(state.params['patches'])[-1]
    assert kernel.shape[-2] == 3 * 2 * 2 or 3 in kernel.shape
    known = masks.known(x, masks.draw(keys, 8, 8))
    assert apply(x, level, Condition(label=label, image=known)).x0.shape == x.shape
    assert 'inpainting' in made.show(state, jax.random.key(2))


def test_latents_that_were_stored_are_learned_from(tmp_path):
    """The same loss as from pictures, but for half precision and the augmentation's absence."""
    module = KLAutoencoder(latents=2, widths=(8, 8), blocks=0, groups=2, channels=1)
    images = jnp.asarray(data.arrays(data.load('digits'))['image'], jnp.float32) / 127.5 - 1
    variables = jax.jit(module.init)(jax.random.key(0), images[:1])
    stage = stages.standardized(stages.from_kl(module, variables), images[:256])
    rows = stage.posterior(images) | {'label': data.arrays(data.load('digits'))['label']}
    rows = {name: np.asarray(x) for name, x in rows.items()}
    encoded.write(tmp_path / 'store', {'train': [rows]}, source='digits', fingerprint='other')

    config = tiny(**{'latents': {'path': str(tmp_path / 'store')}})
    with pytest.raises(UserError, match=f'encoded by other, but {stage.fingerprint} is needed'):
        experiments.assemble(config, stage=stage)
    shutil.rmtree(tmp_path / 'store')
    encoded.write(
        tmp_path / 'store', {'train': [rows]}, source='digits', fingerprint=stage.fingerprint
    )
    key = jax.random.key(3)
    losses = []
    for path in ('', str(tmp_path / 'store')):
        made = experiments.assemble(tiny(**{'latents': {'path': path}}), stage=stage)
        batch = {name: x[:16] for name, x in made.batches.arrays.items()}
        assert ('mean' in batch) == bool(path)
        state = jax.jit(made.init)(jax.random.key(0))
        losses.append(float(jax.jit(made.step)(state, batch, key)[1]['loss']))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_classifier_of_another_process_is_refused():
    guide = Guide(None, {'name': 'cosine'}, (8, 8, 1))
    with pytest.raises(UserError, match='both runs the same'):
        experiments.assemble(tiny(), classifier=guide)


def test_classifier_and_weaker_network_change_what_is_drawn():
    """The gradient of a classifier that prefers bright pictures makes them brighter."""
    guide = Guide(lambda x, level, labels: x.sum((1, 2, 3)), {'name': 'flow'}, (8, 8, 1))
    plain = {'sampler.guidance': 1.0, 'objective.labels': False}
    changes = [plain, plain | {'sampler.classifier': 3.0}]
    bright = []
    for change in changes:
        made = experiments.assemble(tiny(**change), classifier=guide)
        state = jax.jit(made.init)(jax.random.key(0))
        bright.append(made.show(state, jax.random.key(1))['samples'].pixels.mean())
    assert bright[1] > bright[0] + 0.1


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'sampler.classifier': 1.0}, 'config.needs.classifier'),
        ({'objective.labels': False}, 'knows no classes to guide by'),
        (
            {'process': {'name': 'cosine', 'zero_snr': True}, 'objective.name': 'eps'},
            'says nothing about the image',
        ),
        (
            {'process': {'name': 'cosine', 'steps': 20}, 'sampler.spacing': 'trailing',
             'sampler.steps': 30},
            '30 sampling steps, but the schedule has 20',
        ),
        ({'sampler.name': 'dim'}, "did you mean 'ddim'"),
        ({'model.name': 'unett'}, "did you mean 'unet'"),
        ({'objective.weighting': 'snr'}, 'the weighting'),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(changes, words):
    with pytest.raises(UserError, match=words):
        build(**changes)


def test_labels_need_classes(tmp_path):
    np.savez(tmp_path / 'plain.npz', image=np.zeros((20, 8, 8, 1), np.uint8))
    with pytest.raises(UserError, match='has no classes'):
        build(**{'data.name': 'npz', 'data.path': str(tmp_path / 'plain.npz')})
