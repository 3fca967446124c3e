"""How far many jobs are, in one line that is written over; on a log, just what happens."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jaxcv.train.progress import clock

SECONDS = 1.0  # between two drawings


class Tally:
    """Counts jobs by how they stand; the time left goes by the steps of their runs."""

    def __init__(self, total: int):
        self.total, self.done, self.failed = total, 0, 0
        self.begun: dict[Path, int] = {}  # the step at which a directory was taken up
        self.gone = 0  # steps made where work has ended
        self.since, self.drawn = time.monotonic(), 0.0
        self.redraws = sys.stdout.isatty()

    def begin(self, directory: Path) -> None:
        self.begun.setdefault(directory, step_of(directory))

    def end(self, directory: Path, failed: bool) -> None:
        self.done += not failed
        self.failed += failed
        self.gone += step_of(directory) - self.begun[directory]

    def note(self, text: str) -> None:
        """A line of its own, above the counts."""
        self.clear()
        print(text, flush=True)

    def draw(self, running: Sequence[tuple[Path, int]], waiting: int) -> None:
        """`running`: directories and the steps they are to reach; `waiting`: the steps of the
        jobs that nobody has taken up."""
        now = time.monotonic()
        if not self.redraws or now - self.drawn < SECONDS:
            return
        self.drawn = now
        at = {directory: step_of(directory) for directory, _ in running}
        made = self.gone + sum(step - self.begun[directory] for directory, step in at.items())
        left = waiting + sum(max(0, steps - at[directory]) for directory, steps in running)
        elapsed = now - self.since
        rest = f'{clock(elapsed * left / made)} left' if made > 0 else ''
        failed = f', {self.failed} failed' if self.failed else ''
        counts = f'{self.done} of {self.total} done{failed}, {len(running)} running'
        print(f'\r\033[K{counts}  {clock(elapsed)}  {rest}', end='', flush=True)

    def clear(self) -> None:
        if self.redraws:
            print('\r\033[K', end='', flush=True)


def step_of(directory: Path) -> int:
    """How far a run is, by the end of its metrics.jsonl."""
    try:
        with open(directory / 'metrics.jsonl', 'rb') as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2**16))
            return int(json.loads(file.read().splitlines()[-1])['step'])
    except (OSError, IndexError, KeyError, ValueError):
        return 0  # nothing yet, or a line that is being written
