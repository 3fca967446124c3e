"""The table of a sweep: a row for each run, and their mean and spread over seeds."""

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxcv.sweep.points import SEED, Point, by_seed, word
from jaxcv.train.better import PREFERRED
from jaxcv.train.config import settings
from jaxcv.train.result import finished, read_result


@dataclass(frozen=True)
class Row:
    """What became of one point. Status: finished, diverged, failed, interrupted or waiting."""

    point: Point
    status: str
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ''


def read(point: Point, workdir: Path, seconds: float = 0.0, error: str = '') -> Row:
    """The row of the run in `workdir`, by its own account; `error` is how its worker ended."""
    result = read_result(workdir)
    status, step = result.get('status', 'waiting'), result.get('step', 0)
    if status == 'finished':
        error = ''
        if not finished(result, settings(point.config)):
            status = 'interrupted'  # it is to go further than it was
    elif error and status != 'diverged':
        status = 'failed'
    return Row(point, status, step, result.get('metrics') or {}, seconds, error)


def preferred(rows: Sequence[Row]) -> str:
    """The metric that ranks where none is asked for, '' where there is none at all."""
    names = _metrics(rows)
    return next((name for name in (*PREFERRED, *names) if name in names), '')


def to_csv(rows: Sequence[Row]) -> str:
    """Every number of every run, for other programs."""
    fields, metrics = _fields(rows), _metrics(rows)
    text = io.StringIO()
    write = csv.writer(text, lineterminator='\n').writerow
    write(['run', *fields, 'status', 'step', 'seconds', *metrics, 'error'])
    for row in rows:
        swept = [
            word(row.point.fields[name]) if name in row.point.fields else '' for name in fields
        ]
        numbers = [row.metrics.get(name, '') for name in metrics]
        seconds = f'{row.seconds:.1f}'
        write([row.point.name, *swept, row.status, row.step, seconds, *numbers, row.error])
    return text.getvalue()


def to_markdown(rows: Sequence[Row], metric: str, mode: str) -> str:
    """The means over seeds, best first, and the runs. Evaluations with names of their own
    ('train/accuracy') are in the CSV only."""
    summary = summarize(rows, metric, mode) if metric else ''
    return f'{summary}{_runs(rows)}'


def summarize(rows: Sequence[Row], metric: str, mode: str) -> str:
    """Mean ± sample standard deviation over the finished runs of each group of seeds."""
    fields = [name for name in _fields(rows) if name != SEED]
    metrics = [metric, *(name for name in _bare(rows) if name != metric)]
    found = {row.point.name: row for row in rows}
    groups = [
        (rest, [found[point.name] for point in points])
        for rest, points in by_seed([row.point for row in rows])
    ]
    ranked = sorted(groups, key=lambda group: rank(_values(group[1], metric), mode))
    lines = []
    for place, (rest, members) in enumerate(ranked):
        done = [row for row in members if row.status == 'finished']
        numbers = [spread(_values(members, name)) for name in metrics]
        best = 'best' if place == 0 and len(ranked) > 1 and done else ''
        swept = [_cell(rest, name) for name in fields]
        lines.append([*swept, *numbers, f'{len(done)} of {len(members)}', best])
    title = f'By {metric}, {"lowest" if mode == "min" else "highest"} first'
    return f'{title} (mean ± standard deviation):\n\n' + grid(
        [*fields, *metrics, 'runs', ''], lines
    )


def rank(values: Sequence[float], mode: str) -> tuple[bool, float]:
    """Sorts groups by their mean, those without a number last."""
    mean = statistics.fmean(values) if values else math.nan
    return math.isnan(mean), mean if mode == 'min' else -mean


def spread(values: Sequence[float]) -> str:
    """'mean ± standard deviation' of a sample; a single value has no spread."""
    if not values:
        return ''
    mean = f'{statistics.fmean(values):.4g}'
    return f'{mean} ± {statistics.stdev(values):.2g}' if len(values) > 1 else mean


def grid(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    cells = [[cell.replace('|', '\\|') for cell in line] for line in (header, *lines)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ['-' * width for width in widths])
    padded = [
        ' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    ]
    return ''.join(f'| {line} |\n' for line in padded) + '\n'


def _runs(rows):
    fields, metrics = _fields(rows), _bare(rows)
    lines = []
    for row in rows:
        numbers = [f'{row.metrics[name]:.4g}' if name in row.metrics else '' for name in metrics]
        swept = [_cell(row.point.fields, name) for name in fields]
        lines.append([*swept, row.status, *numbers, f'{row.seconds:.0f}', row.error])
    return grid([*fields, 'status', *metrics, 'seconds', 'error'], lines)


def _cell(fields, name):
    return word(fields[name]) if name in fields else ''


def _values(rows, metric):
    return [r.metrics[metric] for r in rows if r.status == 'finished' and metric in r.metrics]


def _fields(rows):
    names = {name: None for row in rows for name in row.point.fields}
    return sorted(names, key=lambda name: name == SEED)


def _metrics(rows):
    names = {name for row in rows for name in row.metrics}
    return sorted(names, key=lambda name: ('/' in name, name))


def _bare(rows):
    return [name for name in _metrics(rows) if '/' not in name]
