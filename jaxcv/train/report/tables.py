"""The parts of the page that are words and numbers."""

import math
from collections.abc import Mapping

import numpy as np

from jaxcv.train import diagnose
from jaxcv.train.better import PREFERRED, direction
from jaxcv.train.config import SECTIONS
from jaxcv.train.report.curves import Series
from jaxcv.train.report.text import duration, escape, number

BIG = 6  # figures in large type; the rest in a table
DIAGNOSTICS = 'diagnostics/'


def headline(name: str, config: Mapping, result: Mapping, rows: list[dict], seconds: float) -> str:
    """Name, state, what it is, how far it got and in how many seconds."""
    status = result.get('status', 'running')
    step = result.get('step', rows[-1]['step'] if rows else 0)
    total = config.get('train', {}).get('steps', step)
    what = [config.get('experiment')]
    what += [config.get(section, {}).get('name') for section in ('data', 'model', 'optim')]
    facts = [f'step {step:,} of {total:,}' if step != total else f'{step:,} steps']
    if rows:
        facts.append(duration(seconds))
    if 'seed' in config:
        facts.append(f'seed {config["seed"]}')
    if status == 'diverged':
        facts.append('stopped: a loss or gradient was no longer a number')
    share = 100 * step / max(total, 1)
    bar = f'<div class=bar><i style="width:{share:.1f}%"></i></div>' if step < total else ''
    return (
        f'<h1>{escape(name)} <span class="status {escape(status)}">{escape(status)}</span></h1>'
        f'<p class=quiet>{escape(" · ".join([w for w in what if w] + facts))}</p>{bar}'
    )


def figures(result: Mapping, train: Series, evaluated: Series) -> str:
    """The last value of each evaluation metric (of training, if there is none) and its best."""
    plain = (
        {n: s for n, s in phase.items() if not n.startswith(DIAGNOSTICS)}
        for phase in (evaluated, train)
    )
    series = next(filter(None, plain), {})
    last = {name: values[-1] for name, (_, values) in series.items()}
    last |= {name: value for name, value in result.get('metrics', {}).items() if name in last}
    names = sorted(last, key=_rank)
    big = [name for name in names if '/' not in name][:BIG] or names[:BIG]
    cards = ''.join(
        f'<div class=figure><span>{_breakable(name)}</span><b>{number(last[name])}</b>'
        f'<small>{_best(name, series[name])}</small></div>'
        for name in big
    )
    rest = {
        name: f'{number(last[name])}</td><td class=quiet>{_best(name, series[name])}'
        for name in names
        if name not in big
    }
    more = f'<div class=card>{_table(rest)}</div>' if rest else ''
    return f'<div class=figures>{cards}</div>{more}' if names else ''


def _breakable(name):
    return escape(name).replace('_', '_<wbr>')


def _rank(name):
    """Known names first, those of named evaluations after all others."""
    known = PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
    return '/' in name, known, name


def _best(name, series):
    steps, values = series
    if len(values) < 2:
        return ''
    at = int(np.argmin(values) if direction(name) == 'min' else np.argmax(values))
    word = 'lowest' if direction(name) == 'min' else 'highest'
    return f'{word} {number(values[at])} at step {steps[at]:,}'


def diagnostics(rows: list[dict]) -> str:
    """The last gradient norms and dead units by layer, and what they mean."""
    last: dict[str, float | None] = {}
    for row in rows:
        found = {k: v for k, v in row.items() if k.startswith(DIAGNOSTICS)}
        last = {k.removeprefix(DIAGNOSTICS): v for k, v in found.items()} or last
    norms, dead = (diagnose.layers(last, kind) for kind in ('grad_norm', 'dead'))
    if not (norms or dead):
        return ''
    found = diagnose.findings(last)
    words = ''.join(f'<li>{escape(text)}</li>' for text in found)
    words = f'<ul class=findings>{words}</ul>' if found else '<p class=fine>Nothing unusual.</p>'
    bars = ''
    if norms:
        texts = {layer: number(value, 3) for layer, value in norms.items()}
        bars += _bars('gradient norm, logarithmic', _logarithmic(norms), texts)
    if dead:
        shares = {layer: share or 0.0 for layer, share in dead.items()}
        texts = {layer: f'{share:.0%}' for layer, share in shares.items()}
        bars += _bars('dead units', shares, texts, diagnose.MANY)
    return f'{words}<div class=layers>{bars}</div>'


def _logarithmic(values):
    """Lengths in [0.05, 1] by the logarithm, 0 for what has none."""
    powers = {name: math.log10(value) for name, value in values.items() if value}
    low = min(powers.values(), default=0.0)
    room = max(max(powers.values(), default=0.0) - low, 1.0)
    lengths = {name: 0.05 + 0.95 * (power - low) / room for name, power in powers.items()}
    return {name: lengths.get(name, 0.0) for name in values}


def _bars(title, shares, texts, alarm=math.inf):
    rows = ''.join(
        f'<tr><th>{escape(layer)}</th><td class=track><i style="width:{100 * share:.1f}%"'
        f'{" class=bad" if share >= alarm else ""}></i></td><td>{texts[layer]}</td></tr>'
        for layer, share in shares.items()
    )
    return f'<div><h3>{title}</h3><table class=bars>{rows}</table></div>'


def config(config: Mapping) -> str:
    """By section; what was left at its default is folded away."""
    plain = {k: v for k, v in config.items() if not isinstance(v, Mapping)}
    sections = {'': plain} | {k: v for k, v in config.items() if isinstance(v, Mapping) and v}
    return '<div class=sections>' + ''.join(map(_section, sections, sections.values())) + '</div>'


def _section(name, values):
    defaults = vars(SECTIONS[name]()) if name in SECTIONS else {}
    values = dict(_flat(values))
    unset = {k for k, v in values.items() if k in defaults and _same(v, defaults[k])}
    unset |= {k for k, v in values.items() if k not in defaults and v in ('', None)}
    chosen = _table({k: _value(v) for k, v in values.items() if k not in unset})
    rest = _table({k: _value(v) for k, v in values.items() if k in unset})
    if unset:
        rest = f'<details><summary>{len(unset)} at their defaults</summary>{rest}</details>'
    return f'<div><h3>{escape(name) or "run"}</h3>{chosen}{rest}</div>'


def _flat(values, prefix=''):
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _same(value, default):
    """JSON has no tuples."""
    return value == (list(default) if isinstance(default, tuple) else default)


def _value(value):
    if isinstance(value, float):
        return f'{value:.9g}'
    return escape(value) if value not in ('', [], {}, None) else '<span class=quiet>none</span>'


def environment(environment: Mapping, result: Mapping) -> str:
    """What it ran on, and the command that continues or repeats it."""
    if not environment:
        return ''
    rows = {
        k: escape(v) for k, v in environment.items() if isinstance(v, str | int) and k != 'command'
    }
    rows |= {k: escape(v) for k, v in environment.get('versions', {}).items()}
    git = environment.get('git', {})
    if git:
        changed = ', with changes that are not committed' if git['changed'] else ''
        rows['commit'] = escape(git['commit'][:12] + changed)
    if result.get('fingerprint'):
        rows['fingerprint'] = escape(result['fingerprint'])
    command = escape(environment.get('command', ''))
    finished = result.get('status') == 'finished'
    does = (
        'shows this result; with another --workdir it repeats the run, and with more'
        ' config.train.steps it goes on'
        if finished
        else 'continues this run; with another --workdir it starts it anew'
    )
    said = f'<pre>{command}</pre><p class=quiet>The same command {does}.</p>' if command else ''
    return f'{said}<div class=card>{_table(rows)}</div>'


def _table(rows):
    cells = (f'<tr><th>{escape(name)}</th><td>{value}</td></tr>' for name, value in rows.items())
    return f'<table>{"".join(cells)}</table>' if rows else ''
