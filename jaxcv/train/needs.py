"""Runs that need runs: a tokenizer under a prior, a classifier under a metric.

`config.needs.<name>` is one of
    'configs/subject/run.py:variant'                    trained when missing, shared by fingerprint
    {'config': FILE, 'overrides': {...}}                the same with overrides
    {'config': FILE, 'overrides': {...}, 'run': DIR}    a finished run, which must fit the config
    DIR                                                 a finished run, whatever its config
and `build` receives what that run's experiment exports.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.train.config import complete, differences, fingerprint, load, to_json
from jaxcv.train.experiment import Experiment
from jaxcv.train.loop import run
from jaxcv.train.result import read_result

Build = Callable[..., Experiment]  # build(config, **needs)


def resolve(config, build: Build, root: Path, devices=None) -> dict[str, Any]:
    """What each need of `config` exports, after training what is missing below `root`."""
    exports = {}
    for number, (name, spec) in enumerate(config.needs.items(), start=1):
        stage, directory = _read(name, spec)
        experiment = build(stage, **resolve(stage, build, root, devices))
        if experiment.export is None:
            raise UserError(f'config.needs.{name}: experiment {stage.experiment!r} exports nothing')
        if directory:
            _fits(name, directory, stage, experiment)
        label = f'{name} ({number} of {len(config.needs)} needed)'
        place = directory or root / f'{_stem(spec)}-{fingerprint(stage, experiment.version)}'
        result = run(experiment, stage, place, devices=devices, label=label, wait=True)
        exports[name] = experiment.export(_free(result.state))
    return exports


def _free(state):
    """A copy that is tied to none of the devices that trained it."""

    def copy(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return leaf if is_key else jnp.asarray(jax.device_get(leaf))

    return jax.tree.map(copy, state)


def _read(name, spec):
    """(config, given directory or None) of a need."""
    if isinstance(spec, str):
        spec = {'run': spec} if Path(spec).is_dir() else {'config': spec}
    elif isinstance(spec, ml_collections.ConfigDict):
        spec = spec.to_dict()
    directory = Path(spec['run']) if spec.get('run') else None
    if directory and not read_result(directory):
        raise UserError(f'config.needs.{name}: {directory} is not the directory of a finished run')
    if spec.get('config'):
        return load(spec['config'], _flat(spec.get('overrides', {}))), directory
    data = json.loads((directory / 'config.json').read_text())
    return complete(ml_collections.ConfigDict(data)), directory


def _fits(name, directory, stage, experiment):
    """Refuses a given run that is unfinished, of another config, or of an older meaning."""
    result = read_result(directory)
    if result.get('status') != 'finished':
        raise UserError(f'config.needs.{name}: {directory} is {result.get("status")}, not finished')
    if result.get('fingerprint') != fingerprint(stage, experiment.version):
        made = json.loads((directory / 'config.json').read_text())
        reason = '; '.join(differences(made, to_json(stage))[:3])
        reason = reason or f'its outputs are of another version than {experiment.version}'
        raise UserError(f'config.needs.{name}: {directory} does not fit: {reason}')


def _stem(spec) -> str:
    path = spec if isinstance(spec, str) else spec['config']
    return Path(path.partition(':')[0]).stem


def _flat(overrides: Mapping, prefix: str = '') -> dict:
    """{'train': {'steps': 3}} -> {'train.steps': 3}; dotted names stay."""
    flat = {}
    for name, value in overrides.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f'{prefix}{name}.')
        else:
            flat[prefix + name] = value
    return flat
