"""Jobs in worker processes, some at a time.

A worker outlives a parent that is killed: its run goes on, under the lock of its directory. A
later parent that finds the lock held waits for it as for a worker of its own. So nothing depends
on how a parent ends.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxcv.sweep.share import Slot, bound_to
from jaxcv.sweep.tally import Tally
from jaxcv.train.interrupt import Interrupted
from jaxcv.train.progress import clock

# A closed terminal ends the work as SIGTERM does.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL = 0.1  # seconds between two looks at the workers


@dataclass(frozen=True)
class Job:
    """Arguments of Python for a run that lives in `directory`: its lock, log.txt and
    metrics.jsonl."""

    name: str
    words: tuple[str, ...]
    directory: Path
    steps: int  # of its run, for the time left
    runs: tuple[str, ...]  # whose results it brings

    @property
    def log(self) -> Path:
        return self.directory / 'log.txt'


@dataclass(frozen=True)
class Outcome:
    """How a worker ended. An error is one line; a run that a signal stopped has none."""

    seconds: float
    error: str = ''


class Workers:
    """`run` starts a job whenever a slot is free, and calls `ended(job, outcome)` when one comes
    to an end. `done(job)` tells whether a job's result is there. A job whose worker was killed is
    started once more."""

    def __init__(
        self,
        jobs: Sequence[Job],
        slots: Sequence[Slot],
        ended: Callable[[Job, Outcome], None],
        done: Callable[[Job], bool],
    ):
        self.waiting, self.free = list(jobs), list(slots)
        self.ended, self.done = ended, done
        self.running: list[Worker | Adopted] = []
        self.again: set[str] = set()
        self.signals: list[int] = []
        self.tally = Tally(len(jobs))

    def run(self) -> None:
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            while self.running or (self.waiting and not self.signals):
                while self.waiting and self.free and not self.signals:
                    self._start(self.waiting.pop(0), self.free.pop(0))
                time.sleep(POLL)
                self._forward()
                for worker in [worker for worker in self.running if worker.ended()]:
                    self._end(worker)
                running = [(worker.job.directory, worker.job.steps) for worker in self.running]
                self.tally.draw(running, sum(job.steps for job in self.waiting))
        finally:
            self.tally.clear()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.signals:
            raise Interrupted(
                self.signals[0],
                f'interrupted with {self.tally.done} of {self.tally.total} done;'
                ' the same command continues',
            )

    def _start(self, job, slot):
        pid = holder(job.directory)
        if pid:
            self.tally.note(f'{job.name}: process {pid} is still at it; waiting for it')
        self.running.append((Adopted if pid else Worker)(job, slot))
        self.tally.begin(job.directory)

    def _end(self, worker):
        self.running.remove(worker)
        self.free.append(worker.slot)
        job, error = worker.job, worker.error()
        if isinstance(worker, Adopted) and not self.done(job):
            return self.waiting.insert(0, job)
        if worker.stopped and self.signals:
            return self.ended(job, Outcome(worker.seconds()))
        if worker.stopped and job.name not in self.again:
            self.again.add(job.name)
            self.tally.note(f'{job.name}: its worker was stopped; starting it once more')
            return self.waiting.insert(0, job)
        outcome = Outcome(worker.seconds(), error)
        self.tally.end(job.directory, failed=bool(error))
        end = f'failed: {error}' if error else 'done'
        self.tally.note(f'{job.name}: {end} ({clock(outcome.seconds)})')
        self.ended(job, outcome)

    def _note(self, number, frame):
        self.signals.append(number)

    def _forward(self):
        """Workers have sessions of their own, so that a Ctrl-C reaches each of them once, from
        here. A second signal reaches them too, and they obey it at once."""
        for worker in self.running:
            for number in self.signals[worker.told :]:
                if not worker.told:
                    self.tally.note(f'{worker.job.name}: stopping; its run will be saved')
                worker.signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
                worker.told += 1


class Worker:
    """A process that works on a job in its slot."""

    def __init__(self, job: Job, slot: Slot):
        self.job, self.slot, self.since, self.told = job, slot, time.time(), 0
        job.directory.mkdir(parents=True, exist_ok=True)
        with open(job.log, 'ab') as log, bound_to(slot.cores):
            self.offset = log.tell()  # where this attempt's output begins
            self.process = subprocess.Popen(
                [sys.executable, *job.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **dict(slot.variables)},
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def seconds(self) -> float:
        return time.time() - self.since

    @property
    def stopped(self) -> bool:
        """Whether a signal ended it, rather than an error."""
        code = self.process.returncode
        return code < 0 or code in (128 + signal.SIGTERM, 128 + signal.SIGINT)

    def error(self) -> str:
        code = self.process.returncode
        if code == 0:
            return ''
        if code < 0:
            return f'its worker was killed by signal {-code}'
        return last_error(self.job.log, self.offset)


class Adopted:
    """A worker that another parent left behind, known by the lock that it holds."""

    stopped = False

    def __init__(self, job: Job, slot: Slot):
        self.job, self.slot, self.since, self.told = job, slot, time.time(), 0

    def ended(self) -> bool:
        return not holder(self.job.directory)

    def signal(self, number: int) -> None:
        if (pid := holder(self.job.directory)) > 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def seconds(self) -> float:
        return time.time() - self.since

    def error(self) -> str:
        return ''


def holder(directory: Path) -> int:
    """The process that holds the lock of a run directory: 0 if none does, -1 if unknown."""
    try:
        with open(directory / '.lock', 'r+') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(file.read().strip() or -1)
    except FileNotFoundError:
        pass
    return 0


def last_error(log: Path, start: int = 0) -> str:
    """The line that says why a worker failed: the last 'error: ...', or else the last line."""
    text = log.read_bytes()[start:].decode(errors='replace').replace('\r', '\n')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix('error: ') for line in lines if line.startswith('error: ')]
    return (errors or lines or ['it ended without a word'])[-1]
