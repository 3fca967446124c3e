import gc
import json
import threading
import time

import jax
import numpy as np
import pytest

from jaxcv.data import ArraySource, Dataset, Held, MappedSource, Stream, batches, epoch, stream
from jaxcv.data.dataset import HELD_BYTES
from jaxcv.errors import UserError


def numbers(n, mapped=False):
    source = ArraySource({'x': np.arange(n), 'image': np.zeros((n, 2, 2, 1), np.uint8)})
    return Dataset('numbers', MappedSource(source, dict) if mapped else source)


def take(iterator, count, field='x'):
    return [next(iterator)[field] for _ in range(count)]


def add_noise(example, rng):
    return example | {'noise': rng.normal()}


@pytest.mark.parametrize('threads', [0, 1, 4])
def test_epochs_cover_the_data_and_differ(threads):
    iterator = stream(numbers(10), 4, threads=threads).open(0, 0, 1)
    x = np.concatenate(take(iterator, 8))
    iterator.close()
    for start in (0, 10, 20):
        assert sorted(x[start : start + 10]) == list(range(10))
    assert not np.array_equal(x[:10], x[10:20])
    other = stream(numbers(10), 4, threads=0).open(1, 0, 1)
    assert not np.array_equal(np.concatenate(take(other, 2)), x[:8])


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_share_the_same_global_batches(processes):
    feed = stream(numbers(23), 8, example=add_noise, threads=0)
    whole = feed.open(5, 0, 1)
    parts = [feed.open(5, p, processes) for p in range(processes)]
    for _ in range(7):
        union = [next(part) for part in parts]
        for name, expected in next(whole).items():
            np.testing.assert_array_equal(np.concatenate([u[name] for u in union]), expected)
    assert all(part.get_state() == whole.get_state() for part in parts)


@pytest.mark.parametrize('mapped', [False, True])
def test_resumes_exactly_from_json(mapped):
    feed = stream(numbers(23, mapped), 8, example=add_noise)
    iterator = feed.open(0, 1, 2)
    take(iterator, 5)
    state = json.loads(json.dumps(iterator.get_state()))
    expected = take(iterator, 4, 'noise')
    resumed = feed.open(0, 1, 2)
    resumed.set_state(state)
    np.testing.assert_array_equal(take(resumed, 4, 'noise'), expected)
    iterator.set_state(state)
    np.testing.assert_array_equal(take(iterator, 4, 'noise'), expected)
    iterator.close()
    resumed.close()


def test_transform_gets_the_same_keys_for_every_share():
    def transform(batch, keys):
        return batch | {'noise': jax.vmap(jax.random.normal)(keys)}

    feed = batches(numbers(9), 4, hold='never', transform=transform)
    whole = next(feed.open(3, 0, 1))['noise']
    half = next(feed.open(3, 1, 2))['noise']
    np.testing.assert_array_equal(whole[2:], half)
    assert isinstance(whole, np.ndarray)
    assert len(set(whole)) == 4


def test_threads_end():
    iterator = stream(numbers(9), 4, threads=3).open(0, 0, 1)
    next(iterator)
    assert any(thread.name.startswith('grain') for thread in threading.enumerate())
    iterator.close()
    del iterator
    gc.collect()
    deadline = time.time() + 5
    while any(thread.name.startswith('grain') for thread in threading.enumerate()):
        assert time.time() < deadline
        time.sleep(0.01)


def test_choice_between_held_and_stream():
    big = Dataset('big', ArraySource({'x': np.broadcast_to(np.uint8(0), (HELD_BYTES + 1,))}))
    assert isinstance(batches(numbers(5), 2), Held)
    assert isinstance(batches(numbers(5), 2, hold=False), Stream)
    assert isinstance(batches(big, 2), Stream)
    with pytest.raises(UserError, match='auto'):
        batches(big, 2, hold='sometimes')


def test_share_must_divide():
    with pytest.raises(UserError, match='divisible by 3'):
        stream(numbers(5), 4).open(0, 0, 3)


def test_shapes_that_differ_are_named():
    class Uneven:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {'image': np.zeros((2, 2 + index, 1), np.uint8)}

    with pytest.raises(UserError, match='image_size'):
        stream(Dataset('uneven', Uneven()), 2).open(0, 0, 1)


@pytest.mark.parametrize('mapped', [False, True])
def test_epoch_pads_the_last_batch(mapped):
    passed = list(epoch(numbers(10, mapped), 4))
    assert [batch['valid'].sum() for batch in passed] == [4, 4, 2]
    assert {batch['x'].shape for batch in passed} == {(4,)}
    x = np.concatenate([batch['x'][batch['valid']] for batch in passed])
    np.testing.assert_array_equal(x, np.arange(10))
    assert passed[-1]['image'].dtype == np.uint8
