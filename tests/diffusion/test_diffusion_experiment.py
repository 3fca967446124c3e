import jax
import numpy as np
import pytest
from jax import numpy as jnp

import experiments
from jaxcv.diffusion.networks import Condition
from jaxcv.errors import UserError
from jaxcv.train import config as configs

TINY = {
    'needs': {},
    'model.width': 16,
    'model.depth': 1,
    'model.heads': 2,
    'sampler.steps': 4,
    'train.steps': 4,
    'train.batch_size': 16,
}


def build(**changes):
    config = configs.load('configs/diffusion/digits.py')
    config.needs = {}
    for name, value in {**TINY, **changes}.items():
        if name != 'needs':
            configs.override(config, name, value)
    return experiments.build(config)


def test_pictures_of_every_kind_are_shown():
    made = build()
    state = jax.jit(made.init)(jax.random.key(0))
    media = made.show(state, jax.random.key(1))
    assert set(media) == {'samples', 'strip', 'guidance', 'inversion', 'inpainting'}
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


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
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
