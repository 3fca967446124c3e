"""The compiled step, called in stretches, its metrics read some calls behind."""

import math
import time

import jax
import numpy as np

from jaxcv.data.batches import Stream
from jaxcv.train import program

CAPACITY = 100  # most steps of one call
CALL_SECONDS = 0.2  # a call is made about this long, so that a signal is obeyed soon
AHEAD_SECONDS = 0.1  # short calls run this far ahead: every look of the host costs the devices time
DEEPEST = 32  # calls ahead


def due(step: int, every: int) -> bool:
    """Whether something done `every` so many steps (0: never) is done after `step`."""
    return every > 0 and step % every == 0


class Calls:
    """Takes a run from beat to beat. Calls run ahead of the host by one or more; their metrics
    are read, checked and gathered while the next ones compute."""

    def __init__(self, session, state, source):
        self.session, self.source = session, source
        s = session.settings
        batches = session.experiment.batches
        streamed = isinstance(batches, Stream)
        self.capacity = s.steps_per_call or (1 if streamed else CAPACITY)
        self.count = s.steps_per_call or 1  # grows towards CALL_SECONDS
        self.batch_size = batches.batch_size if batches else s.batch_size
        devices = session.layout.mesh.devices.flat
        # Programs with collectives must not queue up on a CPU: they starve each other of threads.
        self.patient = devices[0].platform == 'cpu' and len(devices) > 1
        self.deepest = 1 if streamed else DEEPEST  # each call ahead keeps its batches in memory
        self.depth = 1  # grows towards AHEAD_SECONDS
        self.flying: list[tuple] = []  # (first step, count, metrics) of calls not yet read
        self.window: list[np.ndarray] = []
        self.treedef = None
        self.load(state)

    def load(self, state):
        """Continues from a state that the host has changed; compiles if its shapes changed."""
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
        if self.treedef is None or shapes != self.shapes:
            self.names: list[str] = []
            body = program.body(self.session.experiment, self.capacity, self.names)
            self.shapes, self.treedef = shapes, jax.tree.structure(state)
            self.call = self.session.layout.compile(body, self.batch_size, shapes)
        self.carry = self.session.layout.enter(state)

    def state(self):
        return self.session.layout.leave(self.carry, self.treedef)

    def to(self, beat: int, interrupts, records):
        """Steps to `beat`, or to the end of the step in which a signal comes."""
        session = self.session
        self.since = time.perf_counter()
        while session.step < beat and not (self.flying and interrupts.at(session.step)):
            count = min(self.count, beat - session.step)
            when = program.when(session.keys, session.step, count)
            self.carry, out = self.call(self.carry, self.source.take(count), when)
            self.flying.append((session.step, count, out))
            session.step += count
            if self.patient:
                jax.block_until_ready((self.carry, out))
            if len(self.flying) > self.depth:
                self._digest(keep=self.depth // 2 + 1)
        self._digest(keep=0)
        if due(session.step, session.settings.log_every) or session.step == session.settings.steps:
            self._log(records)

    def _digest(self, keep: int):
        """Reads the metrics of all calls but the last `keep`, and sets the pace by them."""
        session, steps = self.session, 0
        landed = self.flying[: len(self.flying) - keep]
        self.flying = self.flying[len(landed) :]
        for first, count, out in landed:
            values = np.asarray(out.addressable_data(0))[:, :count]
            self._heed(first, values)
            if session.settings.stop_on_nan and not np.isfinite(values).all():
                self._find(first, values)
            self.window.append(values)
            steps += count
        now = time.perf_counter()
        seconds, self.since = (now - self.since) / steps, now
        if not session.settings.steps_per_call and self.capacity > 1:
            self.count = int(min(max(CALL_SECONDS / seconds, 1), self.capacity, 2 * self.count))
        ahead = AHEAD_SECONDS / (seconds * self.count)
        self.depth = int(min(max(ahead, 1), self.deepest, 2 * self.depth))
        if session.progress:
            last = dict(zip(self.names, values[:, -1], strict=True))
            session.progress.update(first + count, last)

    def _heed(self, first, values):
        """The experiment's alarms: metrics that are 0 as long as all is well."""
        for name, (what, advice) in self.session.experiment.alarms.items():
            ringing = np.flatnonzero(values[self.names.index(name)])
            if len(ringing):
                self.session.stop(first + int(ringing[0]) + 1, what, advice)

    def _find(self, first, values):
        """The first step with a loss or gradient that is not a number; other metrics may be NaN
        where there is nothing to report."""
        for i, column in enumerate(values.T):
            for name, value in zip(self.names, column, strict=True):
                if not math.isfinite(value) and ('loss' in name or 'grad' in name):
                    advice = 'Lower config.optim.lr, or clip with config.optim.clip_norm'
                    self.session.stop(first + i + 1, f'{name} is {value}', advice)

    def _log(self, records):
        """Means over the steps since the last line."""
        if not self.window:
            return
        values = np.concatenate(self.window, axis=1)
        self.window = []
        metrics = {n: float(np.mean(v)) for n, v in zip(self.names, values, strict=True)}
        records.write(self.session.step, 'train', metrics)
