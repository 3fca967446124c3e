import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from jaxcv.data import EMBEDDED, arrays, batches, configured, load, scene, some
from jaxcv.data.builders.patches import PHOTOS, cut
from jaxcv.errors import UserError


def test_digits_are_those_of_scikit_learn(cache):
    from sklearn.datasets import load_digits

    train, test = (load('digits', split, data_dir=cache) for split in ('train', 'test'))
    assert (len(train), len(test), train.num_classes) == (1438, 359, 10)
    images = np.concatenate([arrays(train)['image'], arrays(test)['image']])
    assert images.dtype == np.uint8
    assert images.shape == (1797, 8, 8, 1)
    expected = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(x.tobytes() for x in images) == sorted(x.tobytes() for x in expected)
    assert train[0]['label'].dtype == np.int32
    counts = np.bincount(arrays(test)['label']) / np.bincount(load_digits().target)
    assert np.all(np.abs(counts - 0.2) < 0.01)


def test_faces_have_two_classes(cache):
    train, test = (load('faces', split, data_dir=cache) for split in ('train', 'test'))
    assert (len(train), len(test)) == (160, 40)
    assert train.classes == ('other', 'face')
    assert arrays(train)['label'].mean() == 0.5
    assert load('faces', data_dir=cache, image_size=16)[0]['image'].shape == (16, 16, 1)


def test_patches_of_the_test_split_are_not_in_the_training_split(cache):
    train, test = (
        arrays(load('patches', split, data_dir=cache, image_size=64)) for split in ('train', 'test')
    )
    assert train['image'].shape[1:] == (64, 64, 3)
    assert set(train['label']) == set(test['label']) == set(range(len(PHOTOS)))
    rows = {patch[y].tobytes() for patch in train['image'] for y in range(64)}
    flat = [row.tobytes() for patch in test['image'] for row in patch if row.std() > 3]
    assert not rows.intersection(flat)


def test_some_are_spread_over_a_set_in_order(cache):
    whole = load('digits', 'test', data_dir=cache)
    assert some(whole, 0) is whole and some(whole, 1000) is whole
    part = some(whole, 7)
    rows = [25, 76, 128, 179, 230, 282, 333]  # the middles of sevenths
    assert len(part) == 7 and part.classes == whole.classes
    np.testing.assert_array_equal(arrays(part)['image'], arrays(whole)['image'][rows])
    section = ConfigDict({'name': 'digits', 'path': '', 'image_size': 0, 'count': 9})
    assert len(configured(section, 'train')) == 9


def test_cut_covers_a_grid():
    image = np.arange(24).reshape(4, 6, 1)
    assert [patch[0, 0, 0] for patch in cut(image, 2, 2)] == [0, 2, 4, 12, 14, 16]


def test_stored_shapes_are_the_drawn_ones(cache, monkeypatch):
    from jaxcv.data.builders import shapes

    monkeypatch.setitem(shapes.COUNTS, 'train', 40)
    monkeypatch.setitem(shapes.COUNTS, 'test', 10)
    dataset = load('shapes', data_dir=cache)
    for i in (0, 17):
        drawn = scene(0, i)
        assert set(dataset[i]) == set(drawn)
        for name, value in drawn.items():
            np.testing.assert_array_equal(dataset[i][name], value)
    assert set(batches(dataset, 4).arrays) == set(drawn) - {'caption'}


@pytest.mark.parametrize(('split', 'seed', 'count'), [('train', 0, 2**16), ('test', 1, 1024)])
def test_scenes_are_drawn_as_they_are_read(split, seed, count):
    dataset = load('scenes', split, image_size=48)
    assert len(dataset) == count
    for name, value in scene(seed, 700, 48).items():
        np.testing.assert_array_equal(dataset[700][name], value)


def test_scenes_are_square():
    with pytest.raises(UserError, match='square'):
        load('scenes', image_size=(32, 48))


def test_two_builds_write_the_same(cache, tmp_path):
    first, second = (arrays(load('digits', data_dir=path)) for path in (cache, tmp_path))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


PREPARE = """
import sys
import jaxcv.data as data
assert len(data.load('faces', data_dir=sys.argv[1])) == 160
assert 'tensorflow' not in sys.modules
"""


def test_processes_may_prepare_at_once_and_without_tensorflow(tmp_path):
    def run(_):
        return subprocess.run([sys.executable, '-c', PREPARE, tmp_path], capture_output=True)

    with ThreadPoolExecutor(3) as pool:
        for result in pool.map(run, range(3)):
            assert result.returncode == 0, result.stderr.decode()
            assert not result.stdout
    assert [path.name for path in (tmp_path / 'jaxcv_faces').iterdir()] == ['1.0.0']


def test_importing_is_cheap():
    heavy = "{'tensorflow_datasets', 'grain', 'PIL', 'skimage', 'sklearn'}"
    code = f'import sys, jaxcv.data, jaxcv.data.augment; assert not {heavy} & set(sys.modules)'
    subprocess.run([sys.executable, '-c', code], check=True)


def test_unwritable_cache_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='TFDS_DATA_DIR'):
        load('digits', data_dir=tmp_path / 'file')


def test_cache_folder_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    load('faces')
    assert (tmp_path / 'jaxcv_faces').exists()


@pytest.mark.parametrize('split', ['train', 'test', 'train[:10%]'])
def test_any_tfds_name(split, tmp_path):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=12):
        dataset = load('mnist', split, data_dir=tmp_path)
        example = dataset[3]
        assert len(dataset) == 12
        assert arrays(dataset)['image'].shape == (12, 28, 28, 1)
    assert dataset.num_classes == 10
    assert example['image'].dtype == np.uint8
    assert example['label'].dtype == np.int32
    assert 'tensorflow' not in sys.modules


def test_names_with_a_config_go_through_and_nested_fields_are_flat(tmp_path):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=3):
        example = load('wider_face:0.1.0', data_dir=tmp_path, image_size=8)[0]
        assert len(load('imagenet_v2/topimages:3.0.0', 'test', data_dir=tmp_path)) == 3
    assert example['image'].shape == (8, 8, 3)
    assert 'faces/bbox' in example


def test_unknown_names_get_the_nearest():
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        load('mnistt')
    with pytest.raises(UserError, match="did you mean 'digits'"):
        load('digit')
    with pytest.raises(UserError, match='tensorflow'):
        load('coco')  # its builder imports TensorFlow
    with pytest.raises(UserError, match='mnist/nosuch'):
        load('mnist/nosuch')


def test_download_while_offline_fails_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr('jaxcv.data.catalog._reachable', lambda host, port: False)
    start = time.monotonic()
    with pytest.raises(UserError) as error:
        load('mnist', data_dir=tmp_path)
    assert time.monotonic() - start < 5
    for expected in ("'mnist'", str(tmp_path), *EMBEDDED):
        assert expected in str(error.value)


def test_refused_and_unknown_hosts_count_as_unreachable():
    from jaxcv.data.catalog import _reachable

    assert not _reachable('127.0.0.1', 1)
    start = time.monotonic()
    assert not _reachable('host.invalid', 443)
    assert time.monotonic() - start < 7


@pytest.mark.parametrize('name', ['digits', 'npz', 'folder', 'scenes'])
def test_unknown_split(name, cache, tmp_path):
    with pytest.raises(UserError, match="split is 'tset'"):
        load(name, 'tset', data_dir=cache, path=tmp_path)


def test_path_is_needed():
    with pytest.raises(UserError, match=r'data\.path'):
        load('folder')


def test_drawn_sizes_are_given():
    with pytest.raises(UserError, match='image_size'):
        load('shapes', image_size=48)


def test_resizing_covers_and_keeps_the_middle():
    from jaxcv.data.resize import resize_image

    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = 200
    assert np.all(resize_image(image, 4) == 200)
    assert resize_image(image[..., :1], (2, 3)).shape == (2, 3, 1)
    exact = np.asarray(Image.fromarray(image).resize((4, 2), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize_image(image, (2, 4)), exact)
