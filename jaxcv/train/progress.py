"""The progress bar: how far, how fast, how long still, and the first few metrics."""

import os
import shutil
import sys
import time
from collections.abc import Mapping

from jaxcv.train.better import ranked

TERMINAL_SECONDS = 0.1  # between two drawings
LOG_SECONDS = 10.0  # where every drawing is a new line
SMOOTHING = 0.3  # weight of the newest rate
LABEL, BAR, LOG_WIDTH = 24, 20, 120


class Progress:
    """A bar on a terminal or in a notebook; elsewhere a line now and then."""

    def __init__(self, total: int, start: int = 0, label: str = '', stream=None):
        self.total, self.label = total, label
        self.stream = stream or sys.stderr
        self.redraws = self.stream.isatty() or 'ipykernel' in sys.modules
        self.pause = TERMINAL_SECONDS if self.redraws else LOG_SECONDS
        self.step, self.metrics = start, {}
        self.width = 0  # of the line that stands there
        # The clock starts with the first steps that are done, so that compiling does not count.
        self.drawn, self.time, self.rate = None, -self.pause, 0.0

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Cheap unless it is time to draw."""
        self.step, self.metrics = step, metrics
        if time.monotonic() - self.time >= self.pause:
            self._draw()

    def note(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self.redraws:
            self.stream.write('\r' + ' ' * self.width + '\r')
            self.width = 0
        self.stream.write(text + '\n')
        self.stream.flush()

    def close(self) -> None:
        if self.redraws or self.drawn != self.step:
            self._draw()
        if self.redraws:
            self.stream.write('\n')
        self.stream.flush()

    def _draw(self):
        now = time.monotonic()
        if self.drawn is not None and self.step > self.drawn:
            rate = (self.step - self.drawn) / max(now - self.time, 1e-9)
            self.rate = rate if not self.rate else self.rate + SMOOTHING * (rate - self.rate)
        self.drawn, self.time = self.step, now
        if self.redraws:
            line = self._line(_columns(self.stream) - 1)
            # Spaces over what is left of a longer line: not every notebook knows escape codes.
            self.stream.write('\r' + line.ljust(self.width))
            self.width = len(line)
        else:
            self.stream.write(self._line(LOG_WIDTH) + '\n')
        self.stream.flush()

    def _line(self, width):
        """At most `width` characters; metrics that do not fit whole are left out."""
        done = int(BAR * min(self.step / max(self.total, 1), 1))
        line = f'{self.label[:LABEL]} ' if self.label else ''
        line += f'{"█" * done}{"░" * (BAR - done)} {self.step:,}/{self.total:,}'
        parts = []
        if self.rate:
            left = clock(max(self.total - self.step, 0) / self.rate)
            parts = [f'{self.rate:,.3g} steps/s', f'{left} left']
        parts += [f'{name} {self.metrics[name]:.4g}' for name in ranked(self.metrics)]
        for part in parts:
            if len(line) + 2 + len(part) > width:
                break
            line += f'  {part}'
        return line[:width]


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'


def _columns(stream):
    """The width of the stream's own terminal: that of stdout may be a file."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):  # a notebook
        columns = 0
    return columns or shutil.get_terminal_size().columns
