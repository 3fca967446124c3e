"""The loop in this process: its beats, its endings, and what it refuses."""

import dataclasses
import json
import os
import subprocess

import jax
import numpy as np
import pytest
import small
from jax import numpy as jnp

from jaxcv.data import stream
from jaxcv.errors import UserError
from jaxcv.train import optimizer, plateau, run, update
from jaxcv.train.interrupt import lock
from jaxcv.train.optimize import Optim
from jaxcv.train.records import read
from jaxcv.viz.media import Picture

ONE = jax.devices()[:1]


def rows(workdir, phase):
    return [row for row in read(workdir) if row['phase'] == phase]


def test_a_run_from_start_to_report(tmp_path):
    made = dataclasses.replace(
        small.experiment(split=False),
        show=lambda state, key: {'noise': Picture(np.random.rand(8, 8, 3), 'a caption')},
    )
    result = run(made, small.config(), tmp_path / 'run', devices=ONE)
    assert result.step == 40 and result.fresh
    assert [row['step'] for row in rows(tmp_path / 'run', 'train')] == list(range(5, 41, 5))
    assert [row['step'] for row in rows(tmp_path / 'run', 'eval')] == [10, 20, 30, 40]
    assert rows(tmp_path / 'run', 'eval')[-1]['accuracy'] == result.metrics['accuracy']
    for name in ('config.json', 'environment.json', 'result.json', 'report.html'):
        assert (tmp_path / 'run' / name).stat().st_size
    assert (tmp_path / 'run' / 'media' / 'noise' / '00000040.png').exists()
    again = run(made, small.config(), tmp_path / 'run', devices=ONE)
    assert not again.fresh and again.metrics == result.metrics
    same(again.state, result.state)
    judged = run(made, small.config(), tmp_path / 'run', devices=ONE, mode='evaluate')
    assert judged.metrics == result.metrics
    more = run(made, small.config(steps=60), tmp_path / 'run', devices=ONE)
    assert more.step == 60 and more.fresh


@pytest.mark.parametrize(('every', 'wanted'), [(-1, []), (0, [10, 20, 30, 40]), (15, [15, 30, 40])])
def test_pictures_when_asked(tmp_path, every, wanted):
    shown = []
    made = dataclasses.replace(
        small.experiment(split=False),
        show=lambda state, key: shown.append(int(state['model'].opt[0].count)) or {},
    )
    run(made, small.config(show_every=every), tmp_path / 'run', devices=ONE)
    assert shown == wanted


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), a, b)


def test_all_devices_with_divided_state(tmp_path):
    made = small.experiment()
    first = run(made, small.config(steps=20), tmp_path / 'run')
    assert first.state['walkers'][5, 0] == 5 * 20
    more = run(made, small.config(), tmp_path / 'run', devices=jax.devices()[:4])
    assert more.state['walkers'][5, 0] == 5 * 40


@pytest.mark.parametrize('parallel', ['pmap', 'mesh'])
def test_streamed_and_continued_is_uninterrupted(tmp_path, parallel):
    made = small.experiment(split=False)
    data = {name: np.asarray(value) for name, value in made.batches.arrays.items()}
    made = dataclasses.replace(made, batches=stream(data, 16))
    config = small.config(parallel=parallel, log_every=1)
    whole = run(made, config, tmp_path / 'whole')
    half = small.config(parallel=parallel, log_every=1, steps=17)
    run(made, half, tmp_path / 'half')
    both = run(made, config, tmp_path / 'half')
    same(both.state, whole.state)
    losses = [[row['loss'] for row in rows(tmp_path / d, 'train')] for d in ('half', 'whole')]
    assert losses[0] == losses[1]


def poisoned(made, at, name='loss'):
    """From step `at` on a metric and the parameters are not numbers."""

    def init(key):
        return made.init(key) | {'count': jnp.zeros((), jnp.int32)}

    def step(state, batch, key):
        count = state['count'] + 1
        inner = {k: v for k, v in state.items() if k != 'count'}
        inner, metrics = made.step(inner, batch, key)
        bad = jnp.where(count >= at, jnp.nan, 1.0)
        return inner | {'count': count}, metrics | {name: metrics.get(name, 1.0) * bad}

    return dataclasses.replace(made, init=init, step=step)


@pytest.mark.parametrize('name', ['loss', 'grad_norm'])
def test_nan_stops_and_names_step_metric_and_checkpoint(tmp_path, name):
    made = poisoned(small.experiment(split=False), 27, name)
    with pytest.raises(UserError, match=rf'{name} is nan at step 27; .*good checkpoint is step 20'):
        run(made, small.config(), tmp_path, devices=ONE)
    assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['00000010', '00000020']
    assert json.loads((tmp_path / 'result.json').read_text())['status'] == 'diverged'
    assert rows(tmp_path, 'train')[-1]['step'] == 25


def test_an_alarm_ends_the_run_in_its_own_words(tmp_path):
    """Also where a loss is not a number because of it."""
    made = small.experiment(split=False)

    def step(state, batch, key):
        state, metrics = made.step(state, batch, key)
        ringing = state['model'].opt[0].count >= 7
        loss = jnp.where(ringing, jnp.nan, metrics['loss'])
        return state, metrics | {'overflow': 3.0 * ringing, 'loss': loss}

    alarms = {'overflow': ('the buffer overflowed', 'Raise config.buffer')}
    alarmed = dataclasses.replace(made, step=step, alarms=alarms)
    with pytest.raises(UserError, match=r'buffer overflowed at step 7; .* Raise config\.buffer'):
        run(alarmed, small.config(), tmp_path, devices=ONE)


def test_a_metric_with_nothing_to_report_may_be_nan(tmp_path):
    made = poisoned(small.experiment(split=False), 1, 'episode_return')
    assert run(made, small.config(), tmp_path, devices=ONE).step == 40
    assert rows(tmp_path, 'train')[0]['episode_return'] is None


def test_a_second_run_on_one_directory_is_refused(tmp_path):
    with (
        lock(tmp_path),
        pytest.raises(UserError, match=rf'in use by another run \(process {os.getpid()}\)'),
    ):
        run(small.experiment(split=False), small.config(), tmp_path, devices=ONE)


def test_another_config_is_refused(tmp_path):
    made = small.experiment(split=False)
    run(made, small.config(), tmp_path, devices=ONE)
    other = small.config()
    other.seed = 3
    with pytest.raises(UserError, match=r'another config: config\.seed was 0, now 3'):
        run(made, other, tmp_path, devices=ONE)


def test_an_unwritable_directory_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        run(small.experiment(split=False), small.config(), tmp_path / 'file' / 'run')


def test_a_full_disk_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    mount = tmp_path / 'disk'
    mount.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', str(mount)]
    if os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('cannot mount a small disk here')
    made = small.experiment(split=False)

    seen = []

    def evaluate(state, key):  # at step 30 something else fills the disk
        seen.append(1)
        if len(seen) < 3:
            return {'accuracy': 0.0}
        with open(mount / 'other', 'ab') as file, pytest.raises(OSError):
            while True:
                file.write(b'x' * 4096)
                file.flush()
        return {'accuracy': 0.0}

    try:
        made = dataclasses.replace(made, evaluate=evaluate)
        with pytest.raises(UserError, match='No space left'):
            run(made, small.config(), mount / 'run', devices=ONE)
        assert '00000010' in os.listdir(mount / 'run' / 'checkpoints')
        (mount / 'other').unlink()
        made = dataclasses.replace(made, evaluate=None)
        assert run(made, small.config(), mount / 'run', devices=ONE).step == 40
    finally:
        subprocess.run(['umount', '-l', str(mount)], check=True)


def test_plateau_early_stopping_and_keep_best(tmp_path):
    made = small.experiment(split=False)
    optim = Optim(name='sgd', lr=1e-3, plateau='accuracy', plateau_mode='max', plateau_patience=0)
    training = update(lambda p, a, b, k: (jnp.sum(p['w'] ** 2), a, {}), optimizer(optim, 100))

    def observe(state, metrics):
        return dataclasses.replace(state, opt=plateau.observe(state.opt, metrics['accuracy']))

    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3])
    made = dataclasses.replace(
        made,
        init=lambda key: training.init({'w': jnp.ones(3)}),
        step=training.step,
        evaluate=lambda state, key: {'accuracy': next(scores)},
        observe=observe,
    )
    config = small.config(
        steps=1000, early_stop='accuracy', patience=2, keep_best='accuracy', keep_last=1
    )
    result = run(made, config, tmp_path, devices=ONE)
    assert result.step == 40  # the best is at 20, and two evaluations did not improve on it
    assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['00000020', '00000040']
    assert float(plateau.scale(result.state.opt)) == pytest.approx(0.01)
    assert not run(made, config, tmp_path, devices=ONE).fresh


def test_adapt_may_change_shapes_and_resume(tmp_path):
    """A state that doubles at step 10 and 20, stopped in between, equals the uninterrupted one."""

    def step(state, batch, key):
        return {'x': state['x'] + 1}, {'loss': state['x'].mean()}

    made = dataclasses.replace(
        small.experiment(split=False),
        init=lambda key: {'x': jnp.zeros(2)},
        step=step,
        evaluate=None,
        adapt=lambda state, key: {'x': jnp.concatenate([state['x'], 2 * state['x']])},
    )
    whole = run(made, small.config(steps=30, adapt_every=10), tmp_path / 'whole', devices=ONE)
    assert whole.state['x'].shape == (8,)
    run(made, small.config(steps=15, adapt_every=10), tmp_path / 'half', devices=ONE)
    both = run(made, small.config(steps=30, adapt_every=10), tmp_path / 'half', devices=ONE)
    same(both.state, whole.state)


def test_initialized_from_another_run(tmp_path, capsys):
    made = small.experiment(split=False)
    first = run(made, small.config(), tmp_path / 'first', devices=ONE)
    config = small.config(steps=1, init_from=str(tmp_path / 'first'), frozen=())
    config.train.init_rules = (('model/params/**', 'model/params/**'),)
    frozen = dataclasses.replace(made, step=lambda state, batch, key: (state, {'loss': 0.0}))
    second = run(frozen, config, tmp_path / 'second', devices=ONE)
    same(second.state['model'].params, first.state['model'].params)
    assert 'leaves initialized from step 40' in capsys.readouterr().out
