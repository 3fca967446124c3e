"""The compiled step, called in stretches, its metrics read one call behind."""

import math
import time

import jax
import numpy as np

from jaxcv.data.batches import Stream
from jaxcv.train import program

CAPACITY = 100  # most steps of one call
CALL_SECONDS = 0.2  # a call is made about this long, so that a signal is obeyed soon


def due(step: int, every: int) -> bool:
    """Whether something done `every` so many steps (0: never) is done after `step`."""
    return every > 0 and step % every == 0


class Calls:
    """Takes a run from beat to beat. Calls run ahead of the host by one; each call's metrics are
    read, checked and gathered while the next one computes."""

    def __init__(self, session, state, source):
        self.session, self.source = session, source
        s = session.settings
        batches = session.experiment.batches
        self.capacity = s.steps_per_call or (1 if isinstance(batches, Stream) else CAPACITY)
        self.count = s.steps_per_call or 1  # grows towards CALL_SECONDS
        self.batch_size = batches.batch_size if batches else s.batch_size
        devices = session.layout.mesh.devices.flat
        # Programs with collectives must not queue up on a CPU: they starve each other of threads.
        self.patient = devices[0].platform == 'cpu' and len(devices) > 1
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
        session, flying = self.session, None
        self.since = time.perf_counter()
        while session.step < beat and not (flying and interrupts.at(session.step)):
            count = min(self.count, beat - session.step)
            when = program.When(session.keys, np.int32(session.step), np.int32(count))
            self.carry, out = self.call(self.carry, self.source.take(count), when)
            if flying:
                self._digest(*flying)
            flying = (session.step, count, out)
            if self.patient:
                jax.block_until_ready((self.carry, out))
            session.step += count
        self._digest(*flying)
        if due(session.step, session.settings.log_every) or session.step == session.settings.steps:
            self._log(records)

    def _digest(self, first, count, out):
        values = np.asarray(out.addressable_data(0))[:, :count]
        session = self.session
        if session.settings.stop_on_nan and not np.isfinite(values).all():
            self._find(first, values)
        self.window.append(values)
        now = time.perf_counter()
        per_step, self.since = (now - self.since) / count, now
        if not session.settings.steps_per_call and self.capacity > 1:
            self.count = int(min(max(CALL_SECONDS / per_step, 1), self.capacity, 2 * self.count))
        if session.progress:
            session.progress.update(
                first + count, dict(zip(self.names, values[:, -1], strict=True))
            )

    def _find(self, first, values):
        """The first step with a loss or gradient that is not a number; other metrics may be NaN
        where there is nothing to report."""
        for i, column in enumerate(values.T):
            for name, value in zip(self.names, column, strict=True):
                if not math.isfinite(value) and ('loss' in name or 'grad' in name):
                    self.session.diverged(first + i + 1, name, float(value))

    def _log(self, records):
        """Means over the steps since the last line."""
        if not self.window:
            return
        values = np.concatenate(self.window, axis=1)
        self.window = []
        metrics = {n: float(np.mean(v)) for n, v in zip(self.names, values, strict=True)}
        records.write(self.session.step, 'train', metrics)
