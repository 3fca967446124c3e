"""The progress bar: what it costs, and that it stays in its line."""

import io
import os
import termios
import time

import numpy as np
import pytest

from jaxcv.train import progress
from jaxcv.train.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """A clock that the test winds."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, 'time', clock)
    return clock


@pytest.mark.parametrize('columns', [20, 60, 200])
def test_every_drawing_fits_the_terminal(clock, monkeypatch, columns):
    monkeypatch.setenv('COLUMNS', str(columns))
    stream = Terminal()
    bar = Progress(1000, label='a-run-with-a-long-name-' * 3, stream=stream)
    for step in range(0, 1001, 100):
        bar.update(step, {'loss': np.float32(0.123456), 'accuracy': np.float32(step)})
        clock.now += 1
    bar.close()
    text = stream.getvalue()
    assert text.endswith('\n') and text.count('\n') == 1
    assert all(len(line) < columns for line in text.rstrip('\n').split('\r'))
    assert ('accuracy 1000  loss 0.1235' in text) == (columns == 200)


def test_rate_and_time_left_leave_compilation_out(clock):
    stream = Terminal()
    bar = Progress(1000, label='run', stream=stream)
    clock.now += 600  # compiling
    bar.update(10, {})
    assert 'left' not in stream.getvalue()
    clock.now += 10
    bar.update(510, {})
    assert '510/1,000  50 steps/s  0:10 left' in stream.getvalue()


def test_a_shorter_line_covers_a_longer_one(clock):
    stream = Terminal()
    bar = Progress(10, stream=stream)
    bar.update(1, {'a_long_name': 1.0})
    clock.now += 1
    bar.update(1, {})
    _, long, short = stream.getvalue().split('\r')
    assert len(short) == len(long) and short != long


def test_a_log_gets_a_line_now_and_then(clock):
    stream = io.StringIO()
    bar = Progress(1000, stream=stream)
    for step in range(1, 1001):
        clock.now += 0.1
        bar.update(step, {'loss': 1.0})
    bar.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11 and '\r' not in stream.getvalue()
    assert '1,000/1,000' in lines[-1] and stream.getvalue().endswith('\n')


def test_notes_stand_above_the_bar(clock):
    stream = Terminal()
    bar = Progress(10, stream=stream)
    bar.update(1, {})
    bar.note('something happened')
    assert stream.getvalue().endswith('\rsomething happened\n')


def test_an_update_that_draws_nothing_is_cheap():
    bar = Progress(10**9, stream=io.StringIO())
    metrics = {'loss': np.float32(1)}
    bar.update(0, metrics)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        for step in range(1000):
            bar.update(step, metrics)
        times.append((time.perf_counter() - start) / 1000)
    assert min(times) < 2e-6


def test_a_log_has_its_last_line_once(clock):
    stream = io.StringIO()
    bar = Progress(10, stream=stream)
    bar.update(10, {'loss': 1.0})
    bar.close()
    assert stream.getvalue().count('\n') == 1


def test_the_width_is_that_of_the_terminal_written_to(clock, monkeypatch):
    monkeypatch.setenv('COLUMNS', '200')
    main, side = os.openpty()
    termios.tcsetwinsize(side, (24, 40))
    with os.fdopen(side, 'w') as stream:
        bar = Progress(1000, label='run', stream=stream)
        bar.update(1, {'loss': 0.5, 'accuracy': 0.5})
        bar.close()
        lines = os.read(main, 4096).decode().replace('\n', '').split('\r')
    os.close(main)
    assert 20 < max(map(len, lines)) < 40
