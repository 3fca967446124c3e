"""The run of an ensemble divided into the run directories of its members, which then look as if
each had run alone."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import ml_collections

from jaxcv.sweep.ensemble import member, of_seed
from jaxcv.train import records
from jaxcv.train.checkpoint import Checkpoints
from jaxcv.train.config import fingerprint, to_json
from jaxcv.train.experiment import Experiment
from jaxcv.train.interrupt import lock
from jaxcv.train.loop import Run
from jaxcv.train.report import write_report


def separate(run: Run, experiment: Experiment, config, directories: Mapping[int, Path]) -> None:
    """Makes the directory of each seed from a finished `run` of `ensemble(experiment, seeds)`.

    `config` is what each would have had, but for the seed. Directories appear one by one, each
    complete; those that hold a result stay as they are. A seed whose loss or gradient was no
    number gets no checkpoint and the status that such a run has."""
    drafts = run.workdir / 'separate'
    drafts.mkdir(exist_ok=True)
    with lock(drafts, wait=True):  # a worker that a killed parent left may be doing the same
        for index, (seed, directory) in enumerate(directories.items()):
            if (directory / 'result.json').exists():
                continue
            draft = drafts / directory.name
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            own = ml_collections.ConfigDict(config.to_dict())
            own.seed = seed
            _write(draft, run, experiment, own, index)
            shutil.rmtree(directory, ignore_errors=True)
            directory.parent.mkdir(parents=True, exist_ok=True)
            draft.rename(directory)


def _write(draft, run, experiment, config, index):
    rows = _rows(run.workdir, config.seed)
    metrics = of_seed(run.metrics, config.seed)
    diverged = config.train.stop_on_nan and any(map(_is_broken, rows))
    records.write_json(draft / 'config.json', to_json(config))
    for name in ('environment.json', 'log.txt'):
        if (run.workdir / name).exists():
            shutil.copy(run.workdir / name, draft / name)
    _write_metrics(draft, rows)
    _copy_media(run.workdir / 'media', draft / 'media', f'seed{config.seed}/')
    if not diverged:
        checkpoints = Checkpoints(draft / 'checkpoints')
        extra = {'position': None, 'history': [], 'metrics': metrics}
        checkpoints.save(run.step, member(experiment, run.state, index), extra, metrics)
        checkpoints.close()
    result = {
        'status': 'diverged' if diverged else 'finished',
        'step': run.step,
        'metrics': metrics,
        'fingerprint': fingerprint(config, experiment.version),
    }
    records.write_json(draft / 'result.json', result)
    write_report(draft)


def _rows(workdir, seed):
    return [of_seed(row, seed) for row in records.read(workdir)]


def _is_broken(row):
    return any(v is None and ('loss' in name or 'grad' in name) for name, v in row.items())


def _write_metrics(draft, rows):
    with records.Records(draft, step=0) as board:
        for row in rows:
            numbers = {k: v for k, v in row.items() if k not in ('step', 'phase', 'time')}
            finite = {name: value for name, value in numbers.items() if value is not None}
            board.write(row['step'], row['phase'], finite)
    # The rows as they were, with their times and gaps.
    lines = ''.join(json.dumps(row) + '\n' for row in rows)
    records.write_text(draft / 'metrics.jsonl', lines)


def _copy_media(source, target, prefix):
    if not (source / prefix).is_dir():
        return
    shutil.copytree(source / prefix, target)
    captions = json.loads((source / 'index.json').read_text())
    own = {k.removeprefix(prefix): v for k, v in captions.items() if k.startswith(prefix)}
    records.write_json(target / 'index.json', own)
