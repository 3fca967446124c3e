"""Many runs of one config: which points a sweep has, and what each is called.

    field=a,b,c            these values
    field=0:8, field=8:0:-2    integers, as Python's range
    field=log(1e-4,1e-2)   drawn, uniformly in the logarithm
    field=uniform(0,1)     drawn, uniformly
    field=choice(a,b)      the same as a,b

Without draws a sweep is the grid of its axes. With draws every point has a value drawn from each
axis, except that the seed is never drawn: each point runs with every seed. Text becomes a value
when a config is loaded with it, so that a field's type decides what it means.
"""

import hashlib
import itertools
import math
import random
import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_collections

from jaxcv.errors import UserError
from jaxcv.train.config import load

SEED = 'seed'
LONGEST = 100  # characters of a run's name; file systems allow 255
BRACKETS = {'(': ')', '[': ']', '{': '}'}


@dataclass(frozen=True)
class Interval:
    """Numbers to draw from, uniformly or uniformly in the logarithm."""

    low: float
    high: float
    log: bool = False

    def draw(self, dice: random.Random) -> float:
        """A number of 4 digits: more would only make names long."""
        u = dice.random()
        if self.log:
            return float(f'{self.low * (self.high / self.low) ** u:.4g}')
        return float(f'{self.low + (self.high - self.low) * u:.4g}')


@dataclass(frozen=True)
class Axis:
    """A field and what it goes through."""

    name: str
    values: tuple | Interval

    def draw(self, dice: random.Random):
        values = self.values
        return values.draw(dice) if isinstance(values, Interval) else dice.choice(values)

    def points(self) -> list[dict[str, Any]]:
        if isinstance(self.values, Interval):
            raise UserError(f'the sweep of {self.name} is drawn from an interval: say --random=K')
        return [{self.name: value} for value in self.values]


@dataclass(frozen=True)
class Explicit:
    """Points that are written out."""

    listed: tuple[dict[str, Any], ...]

    def points(self) -> list[dict[str, Any]]:
        return [dict(point) for point in self.listed]


Part = Axis | Explicit


@dataclass(frozen=True)
class Point:
    """One run of a sweep: its swept fields as its config has them, and its complete config."""

    name: str
    fields: Mapping[str, Any]
    config: ml_collections.ConfigDict


# From text to parts.


def parse(text: str) -> list[Part]:
    """One `--sweep`: `field=values`, or a Python file with SWEEP = {field: values} (axes) or
    SWEEP = [{field: value}, ...] (points)."""
    if text.endswith('.py') and ('=' not in text or Path(text).is_file()):
        return _file(text)
    name, equals, written = text.partition('=')
    if not (equals and name.strip()):
        raise UserError(f'{text!r} is no sweep: write field=a,b,c or name a Python file')
    return [Axis(_field(name), values(written))]


def values(text: str) -> tuple | Interval:
    """What is written behind `field=`."""
    call = re.fullmatch(r'(log|uniform|choice)\((.*)\)', text.strip())
    if call and call[1] != 'choice':
        return _interval(call[1], call[2])
    found = []
    for part in _split(call[2] if call else text):
        if not part:
            raise UserError(f'{text!r} has an empty value')
        found += _range(part)
    return tuple(found)


def _interval(kind, written):
    try:
        low, high = (float(part) for part in _split(written))
    except ValueError:
        raise UserError(f'{kind}({written}) must be {kind}(low,high) with two numbers') from None
    if not (math.isfinite(low) and low < high < math.inf) or (kind == 'log' and low <= 0):
        above = '0 < low' if kind == 'log' else 'low'
        raise UserError(f'{kind}({written}) must have {above} < high')
    return Interval(low, high, kind == 'log')


def _split(text) -> list[str]:
    """Parts between commas that are in no bracket and no quotes."""
    parts, open_, quote = [''], [], ''
    for character in text:
        if quote:
            quote = '' if character == quote else quote
        elif character in '\'"':
            quote = character
        elif character in BRACKETS:
            open_.append(BRACKETS[character])
        elif open_ and character == open_[-1]:
            open_.pop()
        elif character == ',' and not open_:
            parts.append('')
            continue
        parts[-1] += character
    if open_ or quote:
        raise UserError(f'{text!r} lacks a closing {(open_ or [quote])[-1]}')
    return [part.strip() for part in parts]


def _range(text) -> list:
    match = re.fullmatch(r'(-?\d+)?:(-?\d+)(?::(-?\d+))?', text)
    if not match:
        return [text]
    start, stop, step = int(match[1] or 0), int(match[2]), int(match[3] or 1)
    found = list(range(start, stop, step)) if step else []
    if not found:
        raise UserError(f'the range {text} is empty')
    return found


def _file(path) -> list[Part]:
    if not Path(path).is_file():
        raise UserError(f'the sweep file {path} does not exist')
    try:
        swept = runpy.run_path(path).get('SWEEP')
    except Exception as error:
        raise UserError(f'{path} does not load: {type(error).__name__}: {error}') from error
    if isinstance(swept, Mapping) and swept:
        return [Axis(_field(name), _listed(value)) for name, value in swept.items()]
    points = swept if isinstance(swept, Sequence) and not isinstance(swept, str) else ()
    if points and all(isinstance(point, Mapping) for point in points):
        return [Explicit(tuple({_field(k): v for k, v in point.items()} for point in points))]
    raise UserError(
        f'{path} must have SWEEP = {{field: values}} or SWEEP = [{{field: value}}, ...]'
    )


def _listed(value):
    if isinstance(value, str):
        return values(value)
    return tuple(value) if isinstance(value, list | tuple | range) else (value,)


def _field(name):
    return name.strip().removeprefix('config.')


# From parts to points.


def expand(parts: Sequence[Part], draws: int = 0, seed: int = 0) -> list[dict[str, Any]]:
    """The points of a sweep, as fields to override: the grid, or `draws` drawn points times the
    grid of what is not drawn. A point's numbers depend on `seed`, its place and the name of each
    field: more draws extend a sweep, and a new axis leaves the others as they are."""
    _disjoint(parts)
    drawn = [part for part in parts if draws and isinstance(part, Axis) and part.name != SEED]
    if draws and not drawn:
        raise UserError('--random has nothing to draw: sweep a field other than the seed')
    grids = [part.points() for part in parts if part not in drawn]
    if drawn:
        dice = (
            {axis.name: axis.draw(random.Random(f'{seed}/{i}/{axis.name}')) for axis in drawn}
            for i in range(draws)
        )
        grids.insert(0, list(dice))
    return [_union(choice) for choice in itertools.product(*grids)]


def points(path: str, found: Sequence[Mapping], overrides: Mapping[str, Any]) -> list[Point]:
    """Every point with its config, each once. A field that does not exist, or a value of a wrong
    type, is refused here."""
    unique = {}
    for fields in found:
        if twice := sorted(set(fields) & set(overrides)):
            raise UserError(f'config.{twice[0]} is both swept and given as --config.{twice[0]}')
        config = load(path, {**overrides, **fields})
        order = sorted(fields, key=lambda name: (name == SEED, name))
        typed = {name: _value(config, name) for name in order}
        point = Point(title(typed), typed, config)
        unique.setdefault(point.name, point)
    return list(unique.values())


def title(fields: Mapping[str, Any]) -> str:
    """A name for files, the same in every session: 'optim.lr=0.001,seed=3'. Where characters
    had to give way or it grew too long, it ends with a hash of the whole."""
    whole = ','.join(f'{name}={word(value)}' for name, value in fields.items())
    plain = ','.join(f'{name}={_plain(word(value))}' for name, value in fields.items())
    if plain == whole and len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f'{plain[: LONGEST - 9]}-{digest}'


def word(value) -> str:
    """A value as `--config.field=` takes it."""
    return value if isinstance(value, str) else repr(value)


def flags(fields: Mapping[str, Any]) -> list[str]:
    return [f'--config.{name}={word(value)}' for name, value in fields.items()]


def by_seed(found: Sequence[Point]) -> Iterator[tuple[dict[str, Any], list[Point]]]:
    """(fields but the seed, points) for points that differ only in the seed."""
    groups = {}
    for point in found:
        rest = {name: value for name, value in point.fields.items() if name != SEED}
        groups.setdefault(title(rest), (rest, []))[1].append(point)
    return iter(groups.values())


def _disjoint(parts):
    seen = set()
    for part in parts:
        names = {part.name} if isinstance(part, Axis) else {n for p in part.listed for n in p}
        if twice := sorted(seen & names):
            raise UserError(f'{twice[0]} is swept twice')
        seen |= names


def _union(choice):
    return {name: value for part in choice for name, value in part.items()}


def _value(config, name):
    for part in name.split('.'):
        config = config[part]
    return config.to_dict() if isinstance(config, ml_collections.ConfigDict) else config


def _plain(text):
    return '-'.join(re.findall(r'[A-Za-z0-9._+-]+', text))
