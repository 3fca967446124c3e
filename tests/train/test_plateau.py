"""Reduce-on-plateau and early stopping: by hand, inside nested states, and against torch."""

import jax
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcv.errors import UserError
from jaxcv.train.plateau import Plateau, observe, reduce_on_plateau, scale, should_stop


def scales(options, values):
    state, found = reduce_on_plateau(options).init({}), []
    for value in values:
        state = observe(state, value)
        found.append(float(scale(state)))
    return found


def test_patience_cooldown_and_floor():
    options = Plateau(patience=1, factor=0.5, threshold=0, cooldown=2, min_scale=0.2)
    values = [5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3]
    #            bad: 1  2|cool cool 1  2|cool cool 1 2
    expected = [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(scales(options, values), expected, rtol=1e-6)


@given(st.lists(st.floats(-10, 10, width=32), max_size=30), st.integers(0, 3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_max_is_min_of_the_negated(values, patience, relative):
    options = {'patience': patience, 'threshold': 0.0, 'relative': relative}
    low = scales(Plateau(mode='min', **options), values)
    assert low == scales(Plateau(mode='max', **options), [-v for v in values])


def test_found_anywhere_in_a_state_and_the_rest_is_untouched():
    options = Plateau(patience=0, factor=0.1)
    optimizer = optax.chain(
        optax.adam(1.0), optax.chain(reduce_on_plateau(options)), optax.trace(0.9)
    )
    tree = {'generator': optimizer.init(jnp.ones(3)), 'other': jnp.arange(3)}
    after = observe(observe(tree, 1.0), 2.0)
    assert float(scale(after)) == pytest.approx(0.1)
    assert jax.tree.structure(after) == jax.tree.structure(tree)
    assert after['other'] is tree['other']
    assert observe({'a': tree['other']}, 1.0)['a'] is tree['other']
    assert float(scale({})) == 1


def test_updates_shrink():
    optimizer = reduce_on_plateau(Plateau(patience=0, factor=0.25))
    state = observe(observe(optimizer.init({}), 1.0), 1.0)
    updates = {'a': jnp.ones(2), 'b': jnp.ones(2, jnp.bfloat16)}
    updates, _ = optimizer.update(updates, state)
    np.testing.assert_array_equal(updates['a'], 0.25)
    assert updates['b'].dtype == jnp.bfloat16


def test_replicated_states_stay_replicated_and_jit_agrees():
    mesh = Mesh(np.array(jax.devices()), ('data',))
    everywhere = NamedSharding(mesh, PartitionSpec())
    state = jax.device_put(reduce_on_plateau(Plateau(patience=0)).init({}), everywhere)
    after = observe(observe(state, 1.0), 2.0)
    assert all(x.sharding.is_fully_replicated for x in jax.tree.leaves(after))
    assert all(len(x.sharding.device_set) == len(mesh.devices) for x in jax.tree.leaves(after))
    jitted = jax.jit(observe)(jax.jit(observe)(state, 1.0), 2.0)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(a == b), after, jitted))


def test_a_wrong_mode():
    with pytest.raises(UserError, match='max, min'):
        reduce_on_plateau(Plateau(mode='most'))
    with pytest.raises(UserError, match='max, min'):
        should_stop([], patience=1, mode='most')


@pytest.mark.parametrize(
    ('values', 'mode', 'min_delta', 'expected'),
    [
        ([], 'min', 0.0, False),
        ([3, 2, 1], 'min', 0.0, False),
        ([1, 2, 2], 'min', 0.0, True),
        ([1, 2], 'min', 0.0, False),
        ([1, 1, 1], 'min', 0.0, True),  # equal is no improvement
        ([1, 2, 3], 'max', 0.0, False),
        ([3, 2, 2.5], 'max', 0.0, True),
        ([1, 0.95, 0.91], 'min', 0.1, True),  # too little
        ([1, 0.95, 0.8], 'min', 0.1, False),
        ([1, 2, 2, 0.5], 'min', 0.0, False),  # improved after all
        ([float('nan')] * 2, 'min', 0.0, True),
    ],
)
def test_should_stop(values, mode, min_delta, expected):
    assert should_stop(values, patience=2, mode=mode, min_delta=min_delta) is expected


@pytest.mark.oracles
@pytest.mark.parametrize('mode', ['min', 'max'])
@pytest.mark.parametrize('relative', [True, False])
@pytest.mark.parametrize('seed', range(5))
def test_equals_torch(mode, relative, seed):
    torch = pytest.importorskip('torch')
    random = np.random.default_rng(seed)
    options = {
        'patience': int(random.integers(0, 4)),
        'cooldown': int(random.integers(0, 4)),
        'threshold': float(random.choice([0.0, 0.05])),
        'factor': 0.5,
    }
    trend = np.linspace(2, 1, 60) if mode == 'min' else np.linspace(1, 2, 60)
    values = np.float32(trend + 0.2 * random.normal(size=60))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode,
        threshold_mode='rel' if relative else 'abs',
        min_lr=0.01,
        eps=0.0,
        **options,
    )
    expected = []
    for value in values:
        peer.step(float(value))
        expected.append(optimizer.param_groups[0]['lr'])
    found = scales(Plateau(mode=mode, relative=relative, min_scale=0.01, **options), values)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert expected[-1] < 1
