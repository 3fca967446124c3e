"""Stopping a run from outside: signals, pre-emption, and two runs on one directory."""

import contextlib
import fcntl
import os
import signal
import threading
from pathlib import Path

import jax

from jaxcv.errors import UserError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):
    """The run saved and stopped on a signal; the launcher exits with 128 + its number."""

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number


class Interrupts:
    """Remembers a signal until the run has come to the end of a step. A second one is obeyed at
    once. Several processes agree on the step through the coordination service."""

    def __init__(self):
        self.received = 0
        self.before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def at(self, step: int) -> int:
        """The number of the signal to obey after `step`, or 0."""
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            stop = multihost_utils.reached_preemption_sync_point(step)
            return int(signal.SIGTERM) if stop else 0
        return self.received

    def _note(self, number, frame):
        if self.received:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.received = number


@contextlib.contextmanager
def lock(workdir: Path, wait: bool = False):
    """Holds `workdir` for this run; `wait`s for its holder or refuses. The lock dies with the
    process, however it dies."""
    with open(workdir / '.lock', 'a+') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            file.seek(0)
            owner = file.read().strip() or 'unknown'
            raise UserError(
                f'{workdir} is in use by another run (process {owner});'
                ' wait for it, stop it, or choose another --workdir'
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
