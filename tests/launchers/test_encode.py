"""The command that stores what an autoencoder makes of a data set."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv import data
from jaxcv.data import encoded
from jaxcv.errors import UserError
from jaxcv.train.config import load, override

TINY = {
    'data.name': 'digits',
    'data.image_size': 0,
    'model.widths': (4, 4),
    'model.groups': 1,
    'train.steps': 1,
    'train.batch_size': 16,
}


@pytest.fixture(scope='module')
def encode():
    """Here: a launcher defines flags, of which no test needs those of two."""
    from experiments import encode

    return encode


@pytest.fixture(scope='module')
def config():
    config = load('configs/autoencoder/shapes.py')
    for name, value in TINY.items():
        override(config, name, value)
    return config


@pytest.fixture(scope='module')
def made(encode, config, tmp_path_factory):
    """(stage, folder of the store) of an autoencoder that is trained first."""
    folder = tmp_path_factory.mktemp('encode')
    stage = encode.trained(config, folder / 'run')
    encode.store(stage, config.data, folder / 'latents', 128)
    return stage, folder / 'latents'


def test_the_store_is_what_the_encoder_says(made):
    stage, folder = made
    info = encoded.info(folder)
    assert (info.source, info.fingerprint) == ('digits', stage.fingerprint)
    fields = {name: (field.dtype, field.shape) for name, field in info.fields.items()}
    assert fields == {
        'log_variance': ('float16', (4, 4, 4)),
        'mean': ('float16', (4, 4, 4)),
        'label': ('int32', ()),
    }
    for split in ('train', 'test'):
        images = data.arrays(data.load('digits', split))
        assert data.load('encoded', split, path=folder).classes == data.load('digits').classes
        stored = data.arrays(data.load('encoded', split, path=folder))
        np.testing.assert_array_equal(stored['label'], images['label'])
        last, keys = slice(-128, None), jax.random.split(jax.random.key(0), 128)
        x = jnp.asarray(images['image'][last], jnp.float32) / 127.5 - 1
        wanted = jax.jit(stage.encode)(x, keys)
        found = stage.sample({name: values[last] for name, values in stored.items()}, keys)
        assert np.abs(found - wanted).max() < 4 * 2**-11 * np.abs(wanted).max()


def test_the_same_run_encodes_it_again(encode, config, made):
    """From the checkpoint, with the same fingerprint; another's store is refused."""
    _, folder = made
    again = encode.trained(config, folder.parent / 'run')
    encoded.require(folder, again.fingerprint)
    with pytest.raises(UserError, match='was encoded by'):
        encoded.require(folder, 'another')
    with pytest.raises(UserError, match='exists already'):
        encode.store(again, config.data, folder, 128)


def test_an_autoencoder_is_needed(encode, config, tmp_path, monkeypatch):
    monkeypatch.setattr(encode.command, 'trained', lambda *arguments: 'a classifier')
    with pytest.raises(UserError, match='which is no autoencoder'):
        encode.trained(config, tmp_path)


@pytest.mark.smoke
def test_the_command(tmp_path):
    """Trains, stores, and knows what it has done."""
    words = [
        *('-m', 'experiments.encode', '--config=configs/autoencoder/shapes.py:codes'),
        *(f'--workdir={tmp_path / "run"}', f'--out={tmp_path / "latents"}'),
        *(f'--config.{name}={value}' for name, value in TINY.items()),
    ]

    def start(*more):
        done = subprocess.run(
            [sys.executable, *words, *more],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = start()
    assert code == 0 and '1,438 of train, 359 of test' in said, said
    assert 'codes uint16[4, 4]' in said and ' MB in ' in said
    assert data.load('encoded', path=tmp_path / 'latents')[0]['codes'].shape == (4, 4)
    code, said = start()
    assert code == 0 and 'was written before' in said, said
    code, said = start(f'--workdir={tmp_path / "other"}', '--config.seed=1')
    assert code == 2 and 'encode again' in said, said
