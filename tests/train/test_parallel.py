"""The same step in every layout: the same losses, the same state."""

import dataclasses

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from small import experiment

from jaxcv.errors import UserError
from jaxcv.train import parallel, program
from jaxcv.train.parallel import Replicated, Sharded, Source
from jaxcv.train.settings import Settings

STEPS = 20


def losses(layout, made, capacity=1, steps=STEPS):
    """(loss of each step, final state) of `steps` steps in a layout."""
    keys = program.keys(0)
    shapes = jax.eval_shape(made.init, keys.init)
    state = jax.jit(made.init, out_shardings=layout.shardings(shapes))(keys.init)
    names = []
    call = layout.compile(program.body(made, capacity, names), made.batches.batch_size, shapes)
    source = Source(held=parallel.replicate(made.batches.arrays, layout.mesh))
    carry, found = layout.enter(state), []
    for first in range(0, steps, capacity):
        when = program.when(keys, first, capacity)
        carry, out = call(carry, source, when)
        jax.block_until_ready(carry)
        found.append(np.asarray(out)[names.index('loss')])
    return np.concatenate(found), jax.device_get(layout.leave(carry, jax.tree.structure(shapes)))


def layouts(split):
    devices = tuple(jax.devices())
    rules = (('**/Dense_0/kernel', (None, 'model')),)
    return {
        'pmap 8': Replicated(devices, split),
        'mesh 8x1': Sharded(devices, split=split),
        'mesh 4x2': Sharded(devices, model_devices=2, rules=rules, split=split),
    }


@pytest.mark.parametrize('options', [{}, {'accumulate': 2, 'ema': 0.9}], ids=['plain', 'all'])
@pytest.mark.parametrize('name', ['pmap 8', 'mesh 8x1', 'mesh 4x2'])
def test_layouts_agree_with_one_device(name, options):
    made = experiment(**options)
    expected, reference = losses(Replicated(tuple(jax.devices()[:1]), made.split), made)
    found, state = losses(layouts(made.split)[name], made)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert expected[-5:].mean() < expected[:5].mean()
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_divided_state_is_global_outside_the_step():
    made = experiment()
    _, state = losses(Replicated(tuple(jax.devices()), made.split), made, steps=3)
    np.testing.assert_array_equal(state['walkers'][:, 0], 3.0 * np.arange(8))


def test_steps_in_one_call_equal_single_calls():
    made = experiment(split=False)
    layout = Replicated(tuple(jax.devices()[:1]))
    single, state = losses(layout, made)
    together, same = losses(layout, made, capacity=10)
    np.testing.assert_allclose(together, single, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state, same)


def test_rules_and_fsdp_divide_the_state():
    made = experiment()
    shapes = jax.eval_shape(made.init, jax.random.key(0))
    layout = Sharded(
        tuple(jax.devices()),
        model_devices=2,
        rules=(('**/Dense_0/kernel', (None, 'model')),),
        split=made.split,
    )
    shardings = layout.shardings(shapes)
    assert shardings['model'].params['Dense_0']['kernel'].spec == PartitionSpec(None, 'model')
    assert shardings['model'].opt[0].mu['Dense_0']['kernel'].spec == PartitionSpec(None, 'model')
    assert shardings['walkers'].spec == PartitionSpec('data')
    wide = {'kernel': jax.ShapeDtypeStruct((3, 3, 64, 128), np.float32)}
    assert layout.shardings(wide)['kernel'].spec == PartitionSpec(None, None, None, 'data')
    whole = dataclasses.replace(layout, fsdp=False, rules=())
    assert whole.shardings(wide)['kernel'].spec == PartitionSpec()


def test_a_batch_that_devices_do_not_divide_is_refused():
    with pytest.raises(UserError, match=r'batch_size is 20.*8 devices.*16 or 24'):
        parallel.divide(20, 8)


def test_model_devices_must_divide():
    with pytest.raises(UserError, match=r'model_devices is 3.*8 devices'):
        parallel.layout(Settings(parallel='mesh', model_devices=3))


def test_virtual_devices_by_work(monkeypatch):
    """Little work stays on one device; more takes a share of the devices."""
    monkeypatch.delenv('JAX_NUM_CPU_DEVICES', raising=False)
    made, settings = experiment(), Settings(batch_size=16)
    assert len(parallel.useful_devices(made, settings)) == 1
    work = parallel._work(made)
    # Forward and backward of 16 samples: at least the multiply-adds of the convolution, twice.
    assert 2 * 2 * 16 * 36 * 9 * 2 * 8 < work < 1e7
    monkeypatch.setattr(parallel, 'GAINS', ((work, 1.0),))
    assert len(parallel.useful_devices(made, settings)) == 8
    assert len(parallel.useful_devices(made, Settings(batch_size=12))) == 6
    monkeypatch.setattr(parallel, 'GAINS', ((2 * work, 1.0), (work / 2, 0.5)))
    assert len(parallel.useful_devices(made, settings)) == 4
    assert len(parallel.useful_devices(made, Settings(batch_size=16, cpu_devices=8))) == 8
    plain = dataclasses.replace(made, step=lambda state, batch, key: (state, {}))
    assert len(parallel.useful_devices(plain, settings)) == 1
