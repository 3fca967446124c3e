"""Checkpoints: exact, complete or absent, and what happens when the disk is full or damaged."""

import os
import subprocess

import jax
import numpy as np
import optax
import pytest
from flax import struct
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcv.errors import UserError
from jaxcv.train import paths
from jaxcv.train.checkpoint import Checkpoints, room


@struct.dataclass
class State:
    params: dict
    opt: tuple
    key: jax.Array
    nothing: jax.Array | None = None


def state(scale=1.0):
    params = {
        'w': scale * jnp.arange(12.0).reshape(3, 4),
        'half': jnp.asarray([1.5, scale], jnp.bfloat16),
        'bits': jnp.asarray([True, False]),
        'small': jnp.int8(scale),
        'wide': jnp.asarray([2**32 - 1], jnp.uint32),
        'empty': jnp.zeros((0, 5)),
        'a/b': {'c%d': jnp.ones(2)},
    }
    key = jax.random.split(jax.random.key(7), 3)
    return State(params, optax.adam(1e-3).init(params['w']), key)


def bits(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()


def same(a, b):
    a, b = paths.leaves(a), paths.leaves(b)
    assert a.keys() == b.keys()
    for path in a:
        assert (a[path].dtype, a[path].shape) == (b[path].dtype, b[path].shape), path
        assert bits(a[path]) == bits(b[path]), path


@pytest.fixture
def saved(tmp_path):
    """Three checkpoints, of scale 1, 2 and 3."""
    checkpoints = Checkpoints(tmp_path / 'c', keep_last=3)
    for step in (1, 2, 3):
        checkpoints.save(step, state(step), {'position': {'at': step}})
    checkpoints.wait()
    yield checkpoints
    checkpoints.close()


def test_bit_identical(saved):
    step, tree, extra = saved.restore(jax.eval_shape(state))
    assert step == 3 and extra == {'position': {'at': 3}}
    same(tree, state(3.0))
    assert isinstance(tree, State) and isinstance(tree.opt[0], optax.ScaleByAdamState)
    same(saved.restore_step(1, state())[0], state(1.0))


def test_donated_right_after_saving(tmp_path):
    tree = {'w': jnp.arange(2**20, dtype=jnp.float32)}
    expected = np.asarray(tree['w']).copy()
    checkpoints = Checkpoints(tmp_path / 'c')
    checkpoints.save(1, tree, {})
    jax.block_until_ready(jax.jit(lambda t: {'w': t['w'] + 1}, donate_argnums=0)(tree))
    checkpoints.wait()
    _, found, _ = checkpoints.restore({'w': jax.ShapeDtypeStruct((2**20,), jnp.float32)})
    checkpoints.close()
    np.testing.assert_array_equal(found['w'], expected)


@pytest.mark.parametrize(('rows', 'columns'), [(8, 1), (4, 2)])
def test_shardings_of_like(saved, rows, columns, tmp_path):
    mesh = Mesh(np.array(jax.devices()).reshape(rows, columns), ('data', 'model'))
    divided = NamedSharding(mesh, PartitionSpec('data'))
    whole = NamedSharding(mesh, PartitionSpec())
    tree = {'a': jax.device_put(jnp.arange(16.0).reshape(8, 2), divided), 'b': jnp.ones(3)}
    checkpoints = Checkpoints(tmp_path / 'sharded')
    checkpoints.save(5, tree, {})
    checkpoints.wait()
    like = {
        'a': jax.ShapeDtypeStruct((8, 2), jnp.float32, sharding=whole),
        'b': jax.ShapeDtypeStruct((3,), jnp.float32, sharding=whole),
    }
    _, back, _ = checkpoints.restore(like)
    checkpoints.close()
    assert back['a'].sharding == whole
    np.testing.assert_array_equal(back['a'], tree['a'])


def test_shapes_may_have_grown(saved):
    like = jax.eval_shape(state)
    like.params['w'] = jax.ShapeDtypeStruct((99, 4), jnp.float32)
    assert saved.restore(like)[1].params['w'].shape == (3, 4)


def test_shardings_follow_the_grown_shapes(tmp_path):
    """16 rows divide over 8 devices, the 10 that were saved do not."""
    mesh = Mesh(np.array(jax.devices()), ('data',))

    def shardings(shapes):
        return jax.tree.map(
            lambda x: NamedSharding(mesh, PartitionSpec(*['data'][: x.shape[0] % 8 == 0])), shapes
        )

    checkpoints = Checkpoints(tmp_path / 'c')
    checkpoints.save(1, {'x': jnp.arange(10.0)}, {})
    checkpoints.wait()
    like = {'x': jax.ShapeDtypeStruct((16,), jnp.float32)}
    _, back, _ = checkpoints.restore(like, shardings)
    checkpoints.close()
    assert back['x'].sharding.spec == PartitionSpec()
    np.testing.assert_array_equal(back['x'], np.arange(10.0))


def damage_half(path):
    os.truncate(path, path.stat().st_size // 2)


def damage_empty(path):
    os.truncate(path, 0)


def damage_bytes(path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize('damage', [damage_half, damage_empty, damage_bytes, os.unlink])
def test_any_damaged_file_falls_back(saved, damage):
    newest = saved.directory / '00000003'
    files = [path for path in newest.rglob('*') if path.is_file() and path.stat().st_size]
    assert len(files) > 3
    for file in files:
        intact, said = file.read_bytes(), []
        damage(file)
        step, tree, _ = saved.restore(jax.eval_shape(state), notes=said.append)
        assert step == 2, file
        same(tree, state(2.0))
        assert '00000003 is damaged' in said[0] and 'falling back' in said[0]
        file.write_bytes(intact)


def test_a_damaged_checkpoint_is_written_again_and_pushes_out_no_good_one(saved):
    damage_half(saved.directory / '00000003' / 'record.json')
    again = Checkpoints(saved.directory, keep_last=2)
    assert again.restore(jax.eval_shape(state))[0] == 2
    assert again.latest_step() == 2
    again.save(4, state(4), {})
    again.wait()
    assert again.steps() == [2, 4]
    again.save(3, state(3), {})
    again.wait()
    same(again.restore_step(3, state())[0], state(3.0))
    again.close()


def test_a_damaged_checkpoint_does_not_push_out_a_good_one(tmp_path):
    checkpoints = Checkpoints(tmp_path / 'c', keep_last=2)
    for step in (1, 2, 3):
        checkpoints.save(step, state(step), {})
    checkpoints.wait()
    damage_half(checkpoints.directory / '00000003' / 'record.json')
    assert checkpoints.restore(jax.eval_shape(state), notes=[].append)[0] == 2
    checkpoints.save(3, state(30), {})
    checkpoints.save(4, state(4), {})
    checkpoints.wait()
    assert checkpoints.steps() == [3, 4]
    same(checkpoints.restore_step(3, jax.eval_shape(state))[0], state(30.0))
    checkpoints.close()


def test_keeps_last_best_and_every(tmp_path):
    checkpoints = Checkpoints(tmp_path / 'c', keep_last=2, keep_best='accuracy', keep_every=4)
    for step, accuracy in enumerate([0.1, 0.9, 0.3, 0.2, 0.9, 0.5, 0.4], start=1):
        checkpoints.save(step, {'w': jnp.ones(2)}, {}, {'accuracy': accuracy})
    checkpoints.wait()
    assert checkpoints.steps() == [2, 4, 6, 7]
    assert checkpoints.best_step() == 2
    checkpoints.close()


def test_another_structure_is_named(saved):
    like = jax.eval_shape(state)
    like.params['extra'] = like.params.pop('w')
    with pytest.raises(UserError, match='it lacks params/extra'):
        saved.restore(like)
    like = jax.eval_shape(state)
    like.params['small'] = jax.ShapeDtypeStruct((), jnp.int32)
    with pytest.raises(UserError, match=r'params/small \(int8 saved, int32 expected\)'):
        saved.restore(like)


def test_leftovers_of_a_killed_save_do_no_harm(saved):
    draft = saved.directory / '00000004.writing' / 'arrays'
    draft.mkdir(parents=True)
    (draft / 'part').write_bytes(b'x')
    assert saved.steps() == [1, 2, 3]
    saved.save(4, state(4), {})
    saved.wait()
    same(saved.restore(jax.eval_shape(state))[1], state(4.0))
    assert not list(saved.directory.glob('*.writing'))


@pytest.fixture
def small_disk(tmp_path):
    """Four megabytes."""
    mount = tmp_path / 'disk'
    mount.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', str(mount)]
    if os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('cannot mount a small disk here')
    yield mount
    subprocess.run(['umount', '-l', str(mount)], check=True)


def test_a_full_disk_keeps_the_last_good_checkpoint(small_disk):
    checkpoints = Checkpoints(small_disk / 'c')
    checkpoints.save(1, state(1), {})
    checkpoints.wait()
    noise = jax.random.normal(jax.random.key(0), (2**21,))
    with pytest.raises(UserError, match=r'disk/c.*No space left.*step 1 is kept'):
        checkpoints.save(2, {'w': noise}, {})
        checkpoints.wait()
    same(checkpoints.restore(jax.eval_shape(state))[1], state(1.0))
    checkpoints.save(3, state(3), {})
    checkpoints.close()
    assert checkpoints.steps() == [1, 3]


def test_room(small_disk, tmp_path):
    with pytest.raises(UserError, match=r'has .* MB free, but 3 checkpoints.* 12 MB'):
        room(small_disk, {'w': jax.ShapeDtypeStruct((2**20,), jnp.float32)})
    room(tmp_path, state())
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        room(tmp_path / 'file' / 'below', state())
