"""Seeds as one program: each member is the run of its seed alone."""

import dataclasses

import jax
import ml_collections
import numpy as np
import pytest
import small
from jax import numpy as jnp

from jaxcv.data.batches import Stream
from jaxcv.errors import UserError
from jaxcv.sweep.ensemble import allowed, ensemble, member, of_seed
from jaxcv.train import parallel, program
from jaxcv.train.config import complete
from jaxcv.train.experiment import Experiment
from jaxcv.train.parallel import Replicated, Source
from jaxcv.viz.media import Picture

SEEDS = (3, 0, 11)
STEPS = 20


def trainer(made, devices):
    """`train(seed)` gives ({metric: its value at each step}, final state), as the engine does."""
    layout = Replicated(tuple(jax.devices()[:devices]), made.split)
    shapes = jax.eval_shape(made.init, jax.random.key(0))
    start = jax.jit(made.init, out_shardings=layout.shardings(shapes))
    names = []
    call = layout.compile(program.body(made, STEPS, names), made.batches.batch_size, shapes)
    source = Source(held=parallel.replicate(made.batches.arrays, layout.mesh))

    def train(seed):
        keys = program.keys(seed)
        when = program.when(keys, 0, STEPS)
        carry, out = call(layout.enter(start(keys.init)), source, when)
        state = jax.device_get(layout.leave(carry, jax.tree.structure(shapes)))
        return dict(zip(names, np.asarray(out), strict=True)), state

    return train


@pytest.mark.parametrize(('devices', 'one_by_one'), [(1, False), (4, False), (4, True)])
def test_members_equal_their_seeds_alone(devices, one_by_one):
    """Dropout, batch statistics, a parameter average, and a leaf that differs between devices."""
    made = small.experiment(ema=0.9)
    found, state = trainer(ensemble(made, SEEDS, one_by_one), devices)(7)
    assert state['step'] == STEPS
    train = trainer(made, devices)
    for i, seed in enumerate(SEEDS):
        expected, alone = train(seed)
        for name, values in expected.items():
            np.testing.assert_allclose(found[f'seed{seed}/{name}'], values, rtol=1e-5, atol=1e-6)
        for a, b in zip(
            jax.tree.leaves(member(made, state, i)), jax.tree.leaves(alone), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert not np.allclose(found['seed3/loss'], found['seed0/loss'], rtol=1e-3)


def test_evaluations_pictures_and_notes_go_member_by_member():
    def looked(state, key):
        return Picture(np.full((1, 1, 1), float(state['w'])), str(jax.random.key_data(key)))

    made = Experiment(
        init=lambda key: {'w': jax.random.normal(key), 'seen': jnp.zeros(())},
        step=lambda state, batch, key: (state, {'loss': state['w']}),
        evaluate={
            '': lambda state, key: {'w': state['w']},
            'noisy': lambda state, key: {'w': state['w'] + jax.random.normal(key)},
        },
        show=lambda state, key: {'view': looked(state, key)},
        observe=lambda state, metrics: {**state, 'seen': jnp.float32(metrics['noisy/w'])},
    )
    both = ensemble(made, SEEDS)
    state = both.init(jax.random.key(0))
    metrics = both.evaluate(state, jax.random.key(0))
    media = both.show(state, jax.random.key(0))
    noted = both.observe(state, metrics)
    for i, seed in enumerate(SEEDS):
        keys = program.keys(seed)
        alone = made.init(keys.init)
        noisy = made.evaluate['noisy'](alone, keys.evaluate)['w']
        np.testing.assert_allclose(metrics[f'seed{seed}/w'], alone['w'], rtol=1e-6)
        np.testing.assert_allclose(metrics[f'seed{seed}/noisy/w'], noisy, rtol=1e-6)
        assert media[f'seed{seed}/view'].caption == looked(alone, keys.show).caption
        np.testing.assert_allclose(member(made, noted, i)['seen'], noisy, rtol=1e-6)
        np.testing.assert_allclose(member(made, noted, i)['w'], alone['w'], rtol=1e-6)


def test_orthogonal_initializers_do_not_hang():
    orthogonal = jax.nn.initializers.orthogonal()
    made = Experiment(
        init=lambda key: orthogonal(key, (16, 16)), step=lambda state, batch, key: (state, {})
    )
    members = jax.jit(ensemble(made, range(8)).init)(jax.random.key(0))['members']
    for i in range(8):
        np.testing.assert_allclose(members[i] @ members[i].T, np.eye(16), atol=1e-5)


def test_what_one_member_reported():
    named = {'seed1/loss': 1.0, 'seed11/loss': 2.0, 'seed1/train/loss': 3.0, 'steps': 4.0}
    assert of_seed(named, 1) == {'loss': 1.0, 'train/loss': 3.0, 'steps': 4.0}


def test_streams_and_changes_of_shape_are_refused():
    made = small.experiment()
    streamed = dataclasses.replace(made, batches=Stream(lambda *_: iter(()), 16))
    with pytest.raises(UserError, match='stream'):
        ensemble(streamed, SEEDS)
    with pytest.raises(UserError, match='shape'):
        ensemble(dataclasses.replace(made, adapt=lambda state, key: state), SEEDS)


@pytest.mark.parametrize(
    ('field', 'value'),
    [('early_stop', 'loss'), ('keep_best', 'loss'), ('init_from', 'x'), ('parallel', 'mesh')],
)
def test_settings_of_one_run_are_refused(field, value):
    config = complete(ml_collections.ConfigDict({'experiment': 'small'}))
    allowed(config)
    config.train[field] = value
    with pytest.raises(UserError, match=f'config.train.{field}'):
        allowed(config)
