import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from jaxcv.data import held
from jaxcv.data.held import locate
from jaxcv.errors import UserError


def draw(n, batch_size, steps, seed=0):
    data = held({'index': np.arange(n)}, batch_size)
    sample = jax.jit(data.sample)
    slots = jnp.arange(batch_size)
    return np.concatenate(
        [sample(data.arrays, jax.random.key(seed), jnp.int32(s), slots)['index'] for s in steps]
    )


@pytest.mark.parametrize(('n', 'batch_size'), [(12, 4), (10, 4), (5, 16), (1, 3), (97, 32)])
def test_each_epoch_holds_every_sample_once(n, batch_size):
    indices = draw(n, batch_size, range(-(-3 * n // batch_size)))
    epochs = [indices[e * n : (e + 1) * n] for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(n))
    if n > 9:
        assert not np.array_equal(epochs[0], epochs[1])
        assert not np.array_equal(epochs[0], draw(n, batch_size, range(n), seed=1)[:n])


@settings(max_examples=200, deadline=None)
@given(
    step=st.integers(0, 2**31 - 1), batch_size=st.integers(1, 2**17), n=st.integers(1, 2**31 - 1)
)
def test_positions_do_not_overflow(step, batch_size, n):
    slots = sorted({0, batch_size // 2, batch_size - 1})
    epoch, position = locate(jnp.int32(step), jnp.array(slots, jnp.int32), batch_size, n)
    expected = [divmod(step * batch_size + slot, n) for slot in slots]
    assert epoch.tolist() == [q % 2**32 for q, _ in expected]
    assert position.tolist() == [r for _, r in expected]


def test_shards_are_slices_of_the_batch():
    def transform(batch, keys):
        return batch | {'noise': jax.vmap(jax.random.normal)(keys)}

    data = held({'x': np.arange(50)}, 8, transform)
    key, step = jax.random.key(0), jnp.int32(13)
    full = data.sample(data.arrays, key, step, jnp.arange(8))
    part = data.sample(data.arrays, key, step, jnp.arange(4, 8))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[4:], b), full, part)
    assert len(np.unique(full['noise'])) == 8
    later = data.sample(data.arrays, key, step + 1, jnp.arange(8))
    assert not np.isin(later['noise'], full['noise']).any()


def test_vmaps_over_keys():
    data = held({'x': np.arange(11)}, 4)
    keys = jax.random.split(jax.random.key(0), 3)
    slots = jnp.arange(4)
    many = jax.vmap(lambda key: data.sample(data.arrays, key, jnp.int32(2), slots)['x'])(keys)
    for key, x in zip(keys, many, strict=True):
        np.testing.assert_array_equal(x, data.sample(data.arrays, key, jnp.int32(2), slots)['x'])


def test_texts_stay_behind_and_bytes_stay_bytes():
    data = held({'image': np.zeros((3, 2, 2, 1), np.uint8), 'caption': np.array(list('abc'))}, 2)
    assert set(data.arrays) == {'image'}
    batch = data.sample(data.arrays, jax.random.key(0), jnp.int32(0), jnp.arange(2))
    assert batch['image'].dtype == np.uint8


def test_refuses_uneven_arrays():
    with pytest.raises(UserError, match="'b': 2"):
        held({'a': np.zeros(3), 'b': np.zeros(2)}, 2)
