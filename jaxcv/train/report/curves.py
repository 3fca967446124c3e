"""Curves over the steps, as SVG: what training saw, faint and smoothed, and each evaluation."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxcv.train.report.axis import Axis
from jaxcv.train.report.sampling import downsample, evenly, noisy, smooth
from jaxcv.train.report.text import escape, number, short

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 22
LOG = 100.0  # greatest over least value from which the axis is logarithmic
FIRST = ('loss', 'accuracy')  # these come first
HIDDEN = ('diagnostics/grad_norm/', 'diagnostics/dead/')  # have a section of their own

Series = Mapping[str, tuple[Sequence[int], Sequence[float]]]


def section(train: Series, evaluated: Series) -> str:
    """A chart for each metric, those with a common prefix under its name."""
    names = [name for name in {**train, **evaluated} if not name.startswith(HIDDEN)]
    last = max((steps[-1] for steps, _ in (*train.values(), *evaluated.values())), default=1)
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda n: FIRST.index(n) if n in FIRST else len(FIRST)):
        groups.setdefault(name.rpartition('/')[0], []).append(name)
    return ''.join(
        (f'<h3>{escape(group)}</h3>' if group else '')
        + '<div class=charts>'
        + ''.join(chart(name, last, train.get(name), evaluated.get(name)) for name in groups[group])
        + '</div>'
        for group in sorted(groups)
    )


def chart(name: str, last: int, train=None, evaluated=None) -> str:
    """One card over steps 0 to `last`: the name, the last values and the curves."""
    train, evaluated = (s and (np.array(s[0]), _bounded(s[1])) for s in (train, evaluated))
    values = np.concatenate([s[1] for s in (train, evaluated) if s])
    x = Axis(0, max(last, 1), LEFT, WIDTH - RIGHT)
    y = Axis.over(values, HEIGHT - BOTTOM, TOP, log=_spans_decades(values), slack=0.05)
    lines, legend = '', ''
    if train:
        lines += _train(x, y, *train)
        legend += f'<span class="key train">train <b>{number(train[1][-1])}</b></span>'
    if evaluated:
        lines += _evaluated(x, y, *evaluated)
        legend += f'<span class="key eval">eval <b>{number(evaluated[1][-1])}</b></span>'
    scale = ','.join(f'{part:.9g}' for part in (*x.range, *y.range, y.log))
    label = escape(name.rpartition('/')[2])
    return (
        f'<figure class=chart><figcaption><b>{label}</b>{legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" data-scale="{scale}" role=img'
        f' aria-label="{escape(name)}">{_frame(x, y)}{lines}</svg></figure>'
    )


def _bounded(values):
    """Far from where arithmetic over- or underflows: a page must not end a run."""
    values = np.clip(np.array(values, np.float64), -1e100, 1e100)
    return np.where(np.abs(values) < 1e-100, 0, values)


def _spans_decades(values):
    return values.min() > 0 and values.max() / values.min() >= LOG


def _train(x, y, steps, values):
    across, down = x(steps), y(values)
    if len(steps) == 1:
        return f'<circle class=train cx={across[0]:.1f} cy={down[0]:.1f} r=2.5 />'
    rough = noisy(down)
    raw = _line(*downsample(across, down, 300), 'raw' if rough else 'train')
    return raw + (_line(*evenly(across, smooth(down)), 'train') if rough else '')


def _evaluated(x, y, steps, values):
    across, down = x(steps), y(values)
    line = _line(*downsample(across, down, 150), 'eval') if len(steps) > 1 else ''
    if len(steps) > 60:
        return line
    return line + ''.join(
        f'<circle class=eval cx={a:.1f} cy={d:.1f} r=2.2><title>step {int(s):,}: {number(v)}'
        '</title></circle>'
        for a, d, s, v in zip(across, down, steps, values, strict=True)
    )


def _line(x, y, kind):
    points = ' '.join(f'{a:.1f},{b:.1f}' for a, b in zip(x, y, strict=True))
    return f'<polyline class={kind} points="{points}" />'


def _frame(x, y):
    parts = []
    ticks = y.ticks(4)
    if y.log and len(ticks) < 2:  # less than two powers of ten in view
        ticks = [float(f'{10**value:.2g}') for value in np.linspace(*y.range, 4)]
    for value in ticks:
        at = float(y(np.float64(value)))
        parts.append(f'<line x1={LEFT} x2={WIDTH - RIGHT} y1={at:.1f} y2={at:.1f} />')
        parts.append(f'<text x={LEFT - 6} y={at + 3.5:.1f} class=y>{short(value)}</text>')
    for value in x.ticks(5):
        at = float(x(np.float64(value)))
        edge = ' class=end' if at > WIDTH - RIGHT - 12 else ''
        parts.append(f'<text x={at:.1f} y={HEIGHT - 6}{edge}>{short(value)}</text>')
    return f'<g class=frame>{"".join(parts)}</g>'
