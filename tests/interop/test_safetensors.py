"""Checkpoint folders: whole, in shards, and damaged."""

import json

import ml_dtypes
import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.interop import safetensors

RNG = np.random.default_rng(0)
TENSORS = {
    'a.weight': RNG.normal(size=(4, 5)).astype(np.float32),
    'b': RNG.normal(size=(6,)).astype(ml_dtypes.bfloat16),
    'c': np.arange(3).reshape(1, 3).T,  # not contiguous
    'd': np.zeros((), np.int64),
}
CONFIG = {'model_type': 'vit', 'sizes': [1, 2]}


def same(tensors):
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(tensors[name], tensor)


@pytest.mark.parametrize(('shard_bytes', 'files'), [(10**9, 1), (60, 2), (1, 4)])
def test_written_and_read_again(tmp_path, shard_bytes, files):
    safetensors.write(tmp_path / 'new', CONFIG, TENSORS, shard_bytes=shard_bytes)
    assert len(list((tmp_path / 'new').glob('*.safetensors'))) == files
    config, tensors = safetensors.read(tmp_path / 'new')
    assert config == CONFIG
    same(tensors)


def test_an_existing_checkpoint_is_not_overwritten(tmp_path):
    safetensors.write(tmp_path, CONFIG, TENSORS)
    with pytest.raises(UserError, match='already holds a checkpoint'):
        safetensors.write(tmp_path, CONFIG, {})
    same(safetensors.read_tensors(tmp_path))


@pytest.fixture
def sharded(tmp_path):
    safetensors.write(tmp_path, CONFIG, TENSORS, shard_bytes=1)
    return tmp_path


def message(folder):
    with pytest.raises(UserError) as caught:
        safetensors.read(folder)
    return str(caught.value)


def test_no_folder_no_config_no_tensors(tmp_path):
    assert 'is no folder' in message(tmp_path / 'nowhere')
    assert 'has no config.json' in message(tmp_path)
    (tmp_path / 'config.json').write_text('{}')
    (tmp_path / 'pytorch_model.bin').touch()
    found = message(tmp_path)
    assert 'has neither model.safetensors' in found and 'pytorch_model.bin' in found
    (tmp_path / 'config.json').write_text('{')
    assert 'config.json cannot be read' in message(tmp_path)


def test_a_truncated_file_names_itself(sharded):
    shard = sharded / 'model-00001-of-00004.safetensors'
    shard.write_bytes(shard.read_bytes()[:-3])
    assert f'{shard} cannot be read' in message(sharded)
    shard.unlink()
    assert f'{shard} cannot be read' in message(sharded)


def test_an_index_that_lies(sharded):
    path = sharded / safetensors.index()
    index = json.loads(path.read_text())
    index['weight_map']['a.weight'] = index['weight_map']['b']
    path.write_text(json.dumps(index))
    assert 'a.weight is not in' in message(sharded)
    path.write_text('{}')
    assert 'has no weight_map' in message(sharded)
