"""An ensemble's run, divided: each directory is what the seed's own run would have left."""

import json

import jax
import numpy as np
import pytest
import small
from jax import numpy as jnp

from jaxcv.sweep.ensemble import ensemble
from jaxcv.sweep.separate import separate
from jaxcv.train import paths, records
from jaxcv.train.checkpoint import Checkpoints
from jaxcv.train.config import complete
from jaxcv.train.experiment import Experiment
from jaxcv.train.loop import run

SEEDS = (2, 3)


def divide(made, config, tmp_path):
    devices = jax.devices()[:1]
    places = {seed: tmp_path / f'seed={seed}' for seed in SEEDS}
    config = complete(config)
    together = config.copy_and_resolve_references()
    together.train.stop_on_nan = False
    result = run(ensemble(made, SEEDS), together, tmp_path / 'group', devices=devices)
    separate(result, made, config, places)
    return places


def test_a_divided_run_is_as_if_it_had_run_alone(tmp_path):
    made, config = small.experiment(), small.config(steps=20)
    places = divide(made, config, tmp_path)
    config.seed = 3
    alone = run(made, config, tmp_path / 'alone', devices=jax.devices()[:1])
    ours, theirs = places[3], tmp_path / 'alone'

    assert {p.name for p in theirs.iterdir()} - {p.name for p in ours.iterdir()} <= {'.lock'}
    assert (ours / 'config.json').read_text() == (theirs / 'config.json').read_text()
    for a, b in zip(records.read(ours), records.read(theirs), strict=True):
        assert a.keys() == b.keys() and (a['step'], a['phase']) == (b['step'], b['phase'])
        if 'loss' in a:
            np.testing.assert_allclose(a['loss'], b['loss'], rtol=1e-5)
    a, b = (json.loads((place / 'result.json').read_text()) for place in (ours, theirs))
    assert a.keys() == b.keys() and a['metrics'].keys() == b['metrics'].keys()
    assert (a['status'], a['step'], a['fingerprint']) == ('finished', 20, b['fingerprint'])

    again = run(made, config, ours, devices=jax.devices()[:1])
    assert not again.fresh and again.metrics == pytest.approx(alone.metrics)
    step, tree, _ = Checkpoints(ours / 'checkpoints').restore(alone.state)
    assert step == 20
    for path, leaf in paths.leaves(alone.state).items():
        np.testing.assert_allclose(
            paths.leaves(tree)[path], leaf, rtol=2e-4, atol=2e-5, err_msg=path
        )


def test_a_seed_that_diverges_is_told_from_the_others(tmp_path):
    """Seeds 2 and 3 draw numbers of different signs; the logarithm of one is no number."""
    made = Experiment(
        init=lambda key: jax.random.normal(key),
        step=lambda state, batch, key: (state, {'loss': jnp.log(state)}),
    )
    config = small.config(steps=4, batch_size=1)
    places = divide(made, config, tmp_path)
    status = {s: json.loads((p / 'result.json').read_text())['status'] for s, p in places.items()}
    assert sorted(status.values()) == ['diverged', 'finished']
    for seed, place in places.items():
        assert (place / 'checkpoints').exists() == (status[seed] == 'finished')
