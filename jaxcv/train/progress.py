"""The progress bar: how far, how fast, how long still, and the first few metrics."""

import shutil
import sys
import time
from collections.abc import Mapping

TERMINAL_SECONDS = 0.1  # between two drawings
LOG_SECONDS = 10.0  # where every drawing is a new line
SMOOTHING = 0.3  # weight of the newest rate
WIDTH = 20


class Progress:
    """A bar on a terminal or in a notebook; elsewhere a line now and then."""

    def __init__(self, total: int, start: int = 0, label: str = '', stream=None):
        self.total, self.label = total, label
        self.stream = stream or sys.stderr
        self.redraws = self.stream.isatty() or 'ipykernel' in sys.modules
        self.pause = TERMINAL_SECONDS if self.redraws else LOG_SECONDS
        self.step = self.drawn = start
        self.metrics: Mapping[str, float] = {}
        self.began = self.time = time.monotonic()
        self.rate = 0.0

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Cheap unless it is time to draw."""
        self.step, self.metrics = step, metrics
        if time.monotonic() - self.time >= self.pause:
            self._draw()

    def note(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self.redraws:
            self.stream.write('\r\033[K')
        self.stream.write(text + '\n')
        self.stream.flush()

    def close(self) -> None:
        self._draw()
        if self.redraws:
            self.stream.write('\n')
        self.stream.flush()

    def _draw(self):
        now = time.monotonic()
        rate = (self.step - self.drawn) / max(now - self.time, 1e-9)
        if self.step > self.drawn:
            self.rate = rate if not self.rate else self.rate + SMOOTHING * (rate - self.rate)
        self.drawn, self.time = self.step, now
        width = shutil.get_terminal_size().columns if self.redraws else 120
        line = self._line()[: width - 1]
        self.stream.write(f'\r{line}\033[K' if self.redraws else line + '\n')
        self.stream.flush()

    def _line(self):
        done = self.step / max(self.total, 1)
        bar = '█' * int(WIDTH * done) + '░' * (WIDTH - int(WIDTH * done))
        left = (self.total - self.step) / self.rate if self.rate else 0
        numbers = '  '.join(f'{name} {value:.4g}' for name, value in self.metrics.items())
        return (
            f'{self.label} {bar} {self.step:,}/{self.total:,}'
            f'  {self.rate:,.3g} steps/s  {_clock(left)} left  {numbers}'
        )


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'
