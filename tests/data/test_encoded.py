"""A store comes back as it was written, or is refused with a sentence."""

import json

import numpy as np
import pytest

from jaxcv import data
from jaxcv.data import encoded
from jaxcv.errors import UserError

COUNT = 23


def rows(count=COUNT, seed=0):
    rng = np.random.default_rng(seed)
    return {
        'mean': rng.normal(size=(count, 4, 3, 2)).astype(np.float16),
        'tokens': rng.integers(0, 2**31 - 1, (count, 5), np.int32),
        'label': np.arange(count, dtype=np.int32) % 3,
        'known': rng.random(count) < 0.5,
    }


def batches(rows, size=5):
    count = len(rows['label'])
    for start in range(0, count, size):
        yield {name: values[start : start + size] for name, values in rows.items()}


def written(path, **options):
    return encoded.write(
        path,
        {'train': batches(rows()), 'test': batches(rows(4, seed=1))},
        source='things',
        classes=('a', 'b', 'c'),
        fingerprint='abc',
        **options,
    )


def same(found, wanted):
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_everything_comes_back_bit_for_bit(tmp_path):
    info = written(tmp_path / 'store', shard=300)  # 73 bytes an example: four to a file
    assert [len(info.files[split]) for split in ('train', 'test')] == [6, 1]
    assert encoded.info(tmp_path / 'store') == info
    train, test = (data.load('encoded', s, path=tmp_path / 'store') for s in ('train', 'test'))
    assert (train.name, train.classes) == ('things', ('a', 'b', 'c'))
    assert (len(train), len(test)) == (COUNT, 4)
    same(data.arrays(train), rows())
    same(data.arrays(test), rows(4, seed=1))
    for index in (22, 0, 7):  # in any order
        same(train[index], {name: values[index] for name, values in rows().items()})
    assert info.nbytes == sum(f.stat().st_size for f in (tmp_path / 'store').glob('*.array_record'))


def test_batches_are_drawn_from_it(tmp_path):
    written(tmp_path / 'store')
    train = data.load('encoded', path=tmp_path / 'store')
    held = data.batches(train, 8)
    assert isinstance(held, data.Held)
    same(held.arrays, rows())
    reader = data.batches(train, 8, hold='never').open(0, 0, 1)
    seen = np.concatenate([next(reader)['tokens'] for _ in range(3)])[:COUNT]
    reader.close()
    np.testing.assert_array_equal(np.sort(seen, 0), np.sort(rows()['tokens'], 0))


def test_what_stops_leaves_nothing(tmp_path):
    """A crash in the middle, and a kill: only a hidden draft, which is never read."""

    def failing():
        yield from batches(rows())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoded.write(tmp_path / 'store', {'train': failing()}, source='things')
    assert not list(tmp_path.iterdir())
    written(tmp_path / 'store')
    (tmp_path / 'store' / encoded.INFO).unlink()
    with pytest.raises(UserError, match='no finished store'):
        data.load('encoded', path=tmp_path / 'store')


def test_what_is_there_is_not_overwritten(tmp_path):
    written(tmp_path / 'store')
    with pytest.raises(UserError, match='exists already'):
        written(tmp_path / 'store')
    same(data.arrays(data.load('encoded', path=tmp_path / 'store')), rows())


def test_a_damaged_record_is_named(tmp_path):
    """One bit, in the numbers of one example; the others still read."""
    written(tmp_path / 'store')
    file = tmp_path / 'store' / 'train-00000.array_record'
    content = bytearray(file.read_bytes())
    content[content.index(rows()['mean'][7].tobytes())] ^= 1
    file.write_bytes(content)
    train = data.load('encoded', path=tmp_path / 'store')
    same(train[6], {name: values[6] for name, values in rows().items()})
    with pytest.raises(UserError, match=r'example 7 of .*store is damaged'):
        train[7]
    with pytest.raises(UserError, match='is damaged'):
        data.arrays(train)


def test_a_file_that_is_cut_or_missing_is_named(tmp_path):
    written(tmp_path / 'store')
    file = tmp_path / 'store' / 'train-00000.array_record'
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r'train-00000\.array_record has 1000 bytes of'):
        data.load('encoded', path=tmp_path / 'store')
    file.unlink()
    with pytest.raises(UserError, match=r'train-00000\.array_record is missing'):
        data.load('encoded', path=tmp_path / 'store')


def test_mistakes_of_a_reader(tmp_path):
    with pytest.raises(UserError, match='no folder'):
        data.load('encoded', path=tmp_path / 'none')
    with pytest.raises(UserError, match=r'data\.path'):
        data.load('encoded')
    written(tmp_path / 'store')
    with pytest.raises(UserError, match=r"split of .* is 'tset', .* did you mean 'test'"):
        data.load('encoded', 'tset', path=tmp_path / 'store')
    with pytest.raises(UserError, match='image_size'):
        data.load('encoded', path=tmp_path / 'store', image_size=8)
    encoded.require(tmp_path / 'store', 'abc')
    with pytest.raises(UserError, match='was encoded by abc, but xyz is needed'):
        encoded.require(tmp_path / 'store', 'xyz')
    file = tmp_path / 'store' / encoded.INFO
    content = json.loads(file.read_text())
    for text, words in (
        ('{"format', 'cannot be read'),
        (json.dumps(content | {'format': 0}), 'not of format'),
        (json.dumps({'format': encoded.FORMAT}), 'is damaged'),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=words):
            data.load('encoded', path=tmp_path / 'store')


@pytest.mark.parametrize(
    ('second', 'words'),
    [
        ({'label': np.zeros(2, np.int32)}, 'a batch has label'),
        ({'mean': np.zeros((2, 4, 2, 2), np.float16)}, r'mean float16\[4, 2, 2\]'),
        ({'mean': np.zeros((2, 4, 3, 2), np.float32)}, r'mean float32\[4, 3, 2\]'),
        ({'label': np.array(['a', 'b'])}, "'label' is <U1; only numbers"),
        ({'label': np.zeros(3, np.int32)}, 'equally many rows'),
    ],
)
def test_mistakes_of_a_writer(tmp_path, second, words):
    first = {name: values[:2] for name, values in rows().items()}
    second = second if words.startswith('a batch') else first | second
    with pytest.raises(UserError, match=words):
        encoded.write(tmp_path / 'store', {'train': [first, second]}, source='things')
    assert not list(tmp_path.iterdir())


def test_an_empty_split_and_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="'train' has no examples"):
        encoded.write(tmp_path / 'store', {'train': []}, source='things')
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        written(tmp_path / 'file' / 'store')
