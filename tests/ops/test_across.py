"""Functions across devices: one meaning in every layout."""

import jax
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcv.ops import across

X = np.arange(24.0, dtype=np.float32).reshape(8, 3)


def draw(key, x):
    """What a step does: a number per sample, a mean, a place."""
    keys = across.keys(key, len(x))
    noise = jax.vmap(jax.random.normal)(keys)
    means = across.mean((x.mean(0), noise.mean()))
    return noise, across.slots(len(x)), means, across.sum(x.sum()), across.max(x.max())


def test_shards_see_what_the_whole_sees():
    whole = jax.jit(draw)(jax.random.key(0), X)
    for count in (1, 2, 8):
        shards = X.reshape(count, -1, 3)
        mapped = jax.pmap(
            draw,
            across.DATA,
            in_axes=(None, 0),
            out_axes=(0, 0, None, None, None),
            devices=jax.devices()[:count],
        )
        noise, slots, means, total, largest = mapped(jax.random.key(0), shards)
        np.testing.assert_array_equal(noise.reshape(8), whole[0])
        np.testing.assert_array_equal(slots.reshape(8), np.arange(8))
        np.testing.assert_allclose(means[0], X.mean(0), rtol=1e-6)
        np.testing.assert_allclose(means[1], whole[2][1], rtol=1e-5)
        np.testing.assert_allclose(total, X.sum())
        assert largest == X.max()


def test_what_has_no_mean_is_agreed_upon():
    """And one key is chosen for all."""

    def draw(x, keys):
        state = {'grid': x.mean(0), 'seen': jnp.arange(3) > 1, 'step': jnp.int32(7)}
        return across.agreed(state), jax.random.key_data(across.first_key(keys))

    keys = jax.random.split(jax.random.key(0), 8)
    for count in (1, 4):
        mapped = jax.pmap(draw, across.DATA, devices=jax.devices()[:count], out_axes=None)
        state, key = mapped(X.reshape(count, -1, 3), keys.reshape(count, -1))
        np.testing.assert_allclose(state['grid'], X.mean(0), rtol=1e-6)
        np.testing.assert_array_equal(state['seen'], [False, False, True])
        assert state['step'] == 7 and state['step'].dtype == jnp.int32
        np.testing.assert_array_equal(key, jax.random.key_data(keys[0]))


def test_split_divides_under_a_mesh_and_is_nothing_without():
    mesh = Mesh(np.array(jax.devices()), (across.DATA,))
    with jax.set_mesh(mesh):
        out = jax.jit(lambda x: across.split({'a': x, 'odd': x[:3]}))(X)
        back = jax.jit(across.whole)(out)
    assert out['a'].sharding.spec == PartitionSpec(across.DATA)
    assert back['a'].sharding == NamedSharding(mesh, PartitionSpec())
    np.testing.assert_array_equal(out['odd'], X[:3])
    assert jax.jit(across.split)(X).sharding.num_devices == 1


def test_a_sample_keeps_its_key_in_a_larger_batch():
    key = jax.random.key(3)
    small, large = across.keys(key, 4), across.keys(key, 16)
    np.testing.assert_array_equal(jax.random.key_data(small), jax.random.key_data(large)[:4])
    assert len(np.unique(jax.random.key_data(large), axis=0)) == 16
    assert jnp.issubdtype(small.dtype, jax.dtypes.prng_key)
