"""Folders of images and .npz files."""

import numpy as np
import pytest
from PIL import Image

from jaxcv.data import arrays, load
from jaxcv.errors import UserError

RNG = np.random.default_rng(0)


def write(path, size=(6, 5), channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (*size, channels), np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return pixels


def test_classes_by_subfolder_and_explicit_splits(tmp_path):
    cat = write(tmp_path / 'train/cat/0.png')
    write(tmp_path / 'train/dog/0.png')
    dog = write(tmp_path / 'val/dog/inner/1.png')
    train, test = (load('folder', split, path=tmp_path) for split in ('train', 'test'))
    assert train.classes == test.classes == ('cat', 'dog')
    np.testing.assert_array_equal(train[0]['image'], cat)
    np.testing.assert_array_equal(test[0]['image'], dog)
    assert (train[0]['label'], test[0]['label'], len(test)) == (0, 1, 1)


def test_flat_folder_is_divided_the_same_way_every_time(tmp_path):
    for i in range(60):
        write(tmp_path / f'{i}.png', channels=1)
    train, test = (load('folder', split, path=tmp_path) for split in ('train', 'test'))
    names = {file.name for file, _ in test.source.files}
    assert 1 <= len(test) <= 15
    assert len(train) + len(test) == 60
    assert arrays(train)['image'].shape[1:] == (6, 5, 1)
    assert set(train[0]) == {'image'}
    assert train.classes == ()
    for i in range(60, 80):  # more files change no one's place
        write(tmp_path / f'{i}.png', channels=1)
    more = {file.name for file, _ in load('folder', 'test', path=tmp_path).source.files}
    assert names == {name for name in more if int(name[:-4]) < 60}


def test_sizes_that_differ_need_image_size(tmp_path):
    for i in range(4):
        write(tmp_path / f'{i}.png', (6 + i, 8))
    with pytest.raises(UserError, match='image_size'):
        load('folder', path=tmp_path)
    assert load('folder', path=tmp_path, image_size=4)[0]['image'].shape == (4, 4, 3)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_a_broken_file_is_named(tmp_path, suffix):
    for i in range(3):
        write(tmp_path / f'{i}.{suffix}', (40, 40))
    whole = (tmp_path / f'1.{suffix}').read_bytes()
    (tmp_path / f'1.{suffix}').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f'1.{suffix} is not a readable image'):
        load('folder', path=tmp_path)


def test_folder_mistakes(tmp_path):
    with pytest.raises(UserError, match='no folder'):
        load('folder', path=tmp_path / 'none')
    with pytest.raises(UserError, match='no images'):
        load('folder', path=tmp_path)
    write(tmp_path / 'train/cat/0.png')
    write(tmp_path / 'test/cta/0.png')
    with pytest.raises(UserError, match="did you mean 'cat'"):
        load('folder', path=tmp_path)
    write(tmp_path / 'train/loose.png')
    with pytest.raises(UserError, match=r'loose\.png'):
        load('folder', path=tmp_path)


def test_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to view
    Image.new('RGB', (8, 4)).save(tmp_path / '0.jpg', exif=exif)
    write(tmp_path / '1.png', (8, 4))
    assert load('folder', path=tmp_path)[0]['image'].shape == (8, 4, 3)


def save(path, **fields):
    np.savez(path / 'set.npz', **fields)
    return path / 'set.npz'


def test_npz_with_its_own_test_split(tmp_path):
    images = RNG.integers(0, 256, (5, 4, 4, 3), np.uint8)
    path = save(
        tmp_path, image=images, label=np.arange(5), test_image=images[:2], test_label=[7, 0]
    )
    test = load('npz', 'test', path=path)
    np.testing.assert_array_equal(arrays(test)['image'], images[:2])
    np.testing.assert_array_equal(arrays(test)['label'], [7, 0])
    assert test.num_classes == load('npz', path=path).num_classes == 8


def test_npz_is_divided_without_one(tmp_path):
    values = np.linspace(0, 1, 30)
    path = save(tmp_path, image=np.broadcast_to(values[:, None, None], (30, 2, 2)))
    sets = [arrays(load('npz', split, path=path)) for split in ('train', 'test')]
    train, test = (data['image'][:, 0, 0, 0] for data in sets)
    assert (len(train), len(test)) == (27, 3)
    assert sorted([*train, *test]) == list(np.round(values * 255))
    np.testing.assert_array_equal(arrays(load('npz', 'test', path=path))['image'], sets[1]['image'])


IMAGE = np.zeros((4, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'images': IMAGE}, "no key 'image'; keys found: images"),
        ({'image': IMAGE, 'label': [1, 2]}, r"'label' is \[2\], but 'image' holds 4"),
        ({'image': IMAGE, 'label': [0.5] * 4}, 'integers'),
        ({'image': IMAGE[0]}, r'\[n h w\]'),
        ({'image': IMAGE.astype(int)}, 'int64'),
        ({'image': IMAGE + 2.0}, r'\[0, 1\]'),
        ({'image': IMAGE, 'label': [0] * 4, 'test_image': IMAGE}, "no key 'test_label'"),
        ({'image': np.full((4, 2, 2), np.nan)}, r'\[0, 1\]'),
    ],
)
def test_npz_mistakes(tmp_path, fields, message):
    with pytest.raises(UserError, match=message) as error:
        load('npz', path=save(tmp_path, **fields))
    assert 'set.npz' in str(error.value)


def test_npz_that_is_not_one(tmp_path):
    (tmp_path / 'x.npz').write_text('hello')
    with pytest.raises(UserError, match=r'x\.npz'):
        load('npz', path=tmp_path / 'x.npz')
    with pytest.raises(UserError, match='no file'):
        load('npz', path=tmp_path / 'y.npz')
