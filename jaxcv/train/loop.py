"""The run: one loop that every experiment goes through.

    run = jaxcv.train.run(build(config), config, workdir)

reads top to bottom as: open the run directory, place the state (fresh, from another run, or from
the newest checkpoint), step until the end or a signal, and at its beats log, evaluate, show,
adapt and save.
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxcv.errors import UserError, choose
from jaxcv.train import parallel, program
from jaxcv.train.calls import Calls, due
from jaxcv.train.checkpoint import Checkpoints, room
from jaxcv.train.config import complete, differences, fingerprint, settings, to_json
from jaxcv.train.environment import describe
from jaxcv.train.experiment import Experiment
from jaxcv.train.feed import feed
from jaxcv.train.initialize import initialize
from jaxcv.train.interrupt import Interrupted, Interrupts, lock
from jaxcv.train.plateau import should_stop
from jaxcv.train.progress import Progress
from jaxcv.train.records import Records, write_json
from jaxcv.train.report import write_report
from jaxcv.train.result import finished, read_result

# What the system says of a directory or disk that takes no more.
UNWRITABLE = (
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip
MODES = ('train', 'evaluate', 'show')


@dataclasses.dataclass(frozen=True)
class Run:
    """What is left of a run: its state, last evaluation (or training metrics) and directory."""

    state: Any
    metrics: Mapping[str, float]
    workdir: Path
    step: int
    fresh: bool = True  # False: it had finished before

    @property
    def report(self) -> Path:
        return self.workdir / 'report.html'


def run(
    experiment: Experiment,
    config,
    workdir: str | os.PathLike,
    *,
    mode: str = 'train',
    devices: Sequence | str | None = None,
    label: str = '',
    wait: bool = False,
) -> Run:
    """Trains `experiment` in `workdir` to the end of its config, from wherever it stands.

    mode: 'evaluate' and 'show' restore the newest checkpoint and do just that.
    devices: the devices to use, by default all; 'auto' takes as many of a CPU's virtual devices
      as the step gains from. `label` stands before the progress bar. `wait` for another process
      that runs in `workdir`, rather than refuse.
    """
    choose(mode, MODES, 'mode')
    config, workdir = complete(config), Path(workdir)
    primary = jax.process_index() == 0
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with lock(workdir, wait) if primary else contextlib.nullcontext():
            return Session(experiment, config, workdir, devices, label or workdir.name).run(mode)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UserError(f'{workdir} cannot be written: {error.strerror}') from error


class Session:
    """One sitting of a run: what is open while it goes on."""

    def __init__(self, experiment: Experiment, config, workdir: Path, devices, label: str):
        self.experiment, self.config, self.workdir = experiment, config, workdir
        self.settings = settings(config)
        self.primary = jax.process_index() == 0
        _same_run(workdir, config)
        self.keys = program.keys(config.seed)
        if devices == 'auto':
            devices = parallel.useful_devices(experiment, self.settings)
        self.layout = parallel.layout(self.settings, experiment.split, devices)
        self.label = label
        self.checkpoints = Checkpoints(
            (workdir / 'checkpoints').absolute(),
            keep_last=self.settings.keep_last,
            keep_best=self.settings.keep_best,
            best_mode=self.settings.keep_best_mode,
            keep_every=self.settings.keep_every,
        )
        self.history: list[float] = []  # of the metric that early stopping watches
        self.metrics: dict[str, float] = {}  # the last evaluation
        self.step = 0
        self.progress: Progress | None = None

    def run(self, mode: str) -> Run:
        try:
            result = read_result(self.workdir)
            done = finished(result, self.settings)
            position, state = self._start(fresh=mode == 'train' and not done)
            if done and mode == 'train':
                return Run(state, result['metrics'], self.workdir, self.step, fresh=False)
            if mode == 'evaluate':
                return Run(state, self._evaluate(state), self.workdir, self.step)
            if mode == 'show':
                with Records(self.workdir, step=self.step) as records:
                    self._show(state, records)
                write_report(self.workdir)
                return Run(state, self.metrics, self.workdir, self.step)
            return self._train(state, position)
        finally:
            self.checkpoints.close()

    # The state: restored, or new.

    def _start(self, fresh: bool):
        """(data position, state) of the newest checkpoint, or of step 0."""
        shapes = jax.eval_shape(self.experiment.init, self.keys.init)
        restored = self.checkpoints.restore(shapes, self.layout.shardings, self._note)
        if restored:
            self.step, state, extra = restored
            self.history, self.metrics = list(extra['history']), dict(extra['metrics'])
            if fresh:
                self._note(f'continuing {self.workdir} at step {self.step:,}')
            return extra['position'], state
        if not fresh:
            raise UserError(f'{self.workdir} has no checkpoint that reads: train it first')
        if self.primary:
            room(self.workdir, shapes)
        # Run once: what XLA would spend on making it fast is not earned back.
        init = jax.jit(
            self.experiment.init,
            out_shardings=self.layout.shardings(shapes),
            compiler_options={'xla_backend_optimization_level': 0},
        )
        state = init(self.keys.init)
        if self.settings.init_from:
            rules = dict(self.settings.init_rules)
            state, report = initialize(state, self.settings.init_from, rules)
            self._note(str(report))
        return None, state

    # Training.

    def _train(self, state, position) -> Run:
        total = self.settings.steps
        if self.primary:
            write_json(self.workdir / 'config.json', to_json(self.config))
            write_json(self.workdir / 'environment.json', describe())
            (self.workdir / 'result.json').unlink(missing_ok=True)
        source = feed(self.experiment.batches, self.layout, int(self.config.seed), position)
        stopped = False
        with Records(self.workdir, step=self.step) as records, Interrupts() as interrupts:
            if self.primary:
                self.progress = Progress(total, self.step, self.label)
            try:
                calls = Calls(self, state, source)
                while self.step < total and not stopped:
                    beat = self._next_beat()
                    calls.to(beat, interrupts, records)
                    state = calls.state()
                    state, stopped = self._beat(state, calls, records)
                    signal = interrupts.at(self.step)
                    done = self.step >= total or stopped
                    if signal or done or due(self.step, self.settings.checkpoint_every):
                        self._save(state, source.position())
                    if signal and not done:
                        self._interrupted(signal)
                self._finish(records)
            finally:
                source.close()
                if self.progress:
                    self.progress.close()
        return Run(state, self.metrics, self.workdir, self.step)

    def _next_beat(self) -> int:
        """The next step at which the host has something to do."""
        s = self.settings
        every = (s.log_every, s.eval_every, s.show_every, s.checkpoint_every, s.adapt_every)
        beats = [self.step - self.step % n + n for n in every if n > 0]
        return min([s.steps, *beats])

    def _beat(self, state, calls, records):
        """Evaluates, shows and adapts where due; (state, whether to stop early)."""
        s, last = self.settings, self.step >= self.settings.steps
        stop, changed = False, False
        if self.experiment.evaluate and (last or due(self.step, s.eval_every)):
            self.metrics = self._evaluate(state)
            records.write(self.step, 'eval', self.metrics)
            if self.experiment.observe:
                state, changed = self.experiment.observe(state, self.metrics), True
            stop = self._should_stop()
        if not (last or stop) and due(self.step, s.adapt_every) and self.experiment.adapt:
            key = jax.random.fold_in(self.keys.adapt, self.step)
            state, changed = self.experiment.adapt(state, key), True
        shown = last or stop or due(self.step, s.show_every or s.eval_every)
        if shown and s.show_every >= 0:
            self._show(state, records)
            if self.primary and not (last or stop):
                write_report(self.workdir)
        if changed:
            state = jax.device_put(state, self.layout.shardings(state))
            calls.load(state)
        return state, stop

    def _should_stop(self) -> bool:
        s = self.settings
        if not s.early_stop:
            return False
        self.history.append(self.metrics[choose(s.early_stop, self.metrics, 'early_stop')])
        stop = should_stop(self.history, patience=s.patience, mode=s.early_stop_mode)
        if stop:
            self._note(f'{s.early_stop} no longer improves: stopping at step {self.step:,}')
        return stop

    def _evaluate(self, state) -> dict[str, float]:
        evaluations = self.experiment.evaluate or {}
        if callable(evaluations):
            evaluations = {'': evaluations}
        metrics = {}
        with jax.set_mesh(self.layout.mesh):
            for name, evaluation in evaluations.items():
                prefix = f'{name}/' if name else ''
                for metric, value in evaluation(state, self.keys.evaluate).items():
                    metrics[prefix + metric] = float(value)
        return metrics

    def _show(self, state, records):
        if self.experiment.show:
            with jax.set_mesh(self.layout.mesh):
                media = self.experiment.show(state, self.keys.show)
            records.media(self.step, media)

    def _save(self, state, position):
        extra = {'position': position, 'history': self.history, 'metrics': self.metrics}
        self.checkpoints.save(self.step, state, extra, self.metrics)

    # Endings.

    def _interrupted(self, number):
        self.checkpoints.wait()
        if self.primary:
            self._result('interrupted')
        raise Interrupted(
            number,
            f'interrupted and saved at step {self.step:,}; the same command continues'
            f' in {self.workdir}',
        )

    def stop(self, step: int, what: str, advice: str):
        """Ends the run for good: `what` went wrong in `step`."""
        self.checkpoints.wait()
        good = self.checkpoints.latest_step()
        if self.primary:
            self._result('diverged')
        where = 'there is no checkpoint before it'
        if good is not None:
            where = f'the last good checkpoint is step {good:,} in {self.checkpoints.directory}'
        raise UserError(f'{what} at step {step:,}; {where}. {advice}')

    def _finish(self, records):
        self.checkpoints.wait()
        if not self.experiment.evaluate:
            self.metrics = records.latest
        if self.primary:
            self._result('finished')

    def _result(self, status):
        result = {
            'status': status,
            'step': self.step,
            'metrics': {name: x for name, x in self.metrics.items() if math.isfinite(x)},
            'fingerprint': fingerprint(self.config, self.experiment.version),
        }
        write_json(self.workdir / 'result.json', result)
        write_report(self.workdir)

    def _note(self, text):
        if self.progress:
            self.progress.note(text)
        elif self.primary:
            print(text, flush=True)


def _same_run(workdir: Path, config):
    """Refuses to continue a directory that was made with another config."""
    file = workdir / 'config.json'
    if file.exists() and (found := differences(json.loads(file.read_text()), to_json(config))):
        more = f' (and {len(found) - 3} more)' if len(found) > 3 else ''
        raise UserError(
            f'{workdir} holds a run of another config: {"; ".join(found[:3])}{more}.'
            ' Choose another --workdir, or delete it'
        )
