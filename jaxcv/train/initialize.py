"""Starting from another run: values by path pattern, with a report of what matched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
from jaxtyping import PyTree

from jaxcv.errors import UserError
from jaxcv.train import paths
from jaxcv.train.checkpoint import Checkpoints

EVERYTHING = {'**': '**'}


@dataclass(frozen=True)
class Report:
    """What came from the other run: paths here, in words by `str`."""

    source: str
    matched: tuple[str, ...]
    kept: tuple[str, ...]  # asked for, but not there: left as initialized
    reshaped: tuple[str, ...]  # there with another shape: left as initialized
    unused: tuple[str, ...]  # there, but not asked for

    def __str__(self):
        lines = [f'{len(self.matched)} leaves initialized from {self.source}']
        for what, names in (
            ('not there, left as initialized', self.kept),
            ('of another shape, left as initialized', self.reshaped),
            ('there, but not used', self.unused),
        ):
            if names:
                more = f' and {len(names) - 5} more' if len(names) > 5 else ''
                lines.append(f'  {len(names)} {what}: {", ".join(names[:5])}{more}')
        return '\n'.join(lines)


def initialize(
    tree: PyTree, run: str | Path, rules: Mapping[str, str] = EVERYTHING
) -> tuple[PyTree, Report]:
    """`tree` with the leaves that `rules` name taken from the newest checkpoint of `run`.

    `rules` maps a pattern of paths here to the pattern they have there, as `paths.rename`:
    {'model/params/backbone/**': 'model/params/**'}. Without rules, equal paths are taken.
    """
    rules = rules or EVERYTHING
    checkpoints = Checkpoints(Path(run) / 'checkpoints')
    found = checkpoints.leaves()
    if found is None:
        raise UserError(f'config.train.init_from: {run} has no checkpoint that reads')
    step, there = found
    here = paths.leaves(tree)
    paths.require(rules, tree, 'config.train.init_rules')
    wanted = {path: source for path in here if (source := _source(rules, path)) is not None}
    fitting = {p: s for p, s in wanted.items() if s in there and there[s].shape == here[p].shape}
    values = {p: there[s].astype(here[p].dtype) for p, s in fitting.items()}
    report = Report(
        f'step {step:,} of {run}',
        matched=tuple(fitting),
        kept=tuple(p for p, s in wanted.items() if s not in there),
        reshaped=tuple(p for p, s in wanted.items() if s in there and p not in fitting),
        unused=tuple(sorted(set(there) - set(wanted.values()))),
    )
    if not fitting:
        raise UserError(f'config.train.init_from matches nothing: {report}')

    def take(path, leaf):
        return jax.device_put(values[path], leaf.sharding) if path in values else leaf

    return paths.map_with_path(take, tree), report


def _source(rules, path):
    """The path there of the first rule that matches."""
    renamed = (paths.rename(here, there, path) for here, there in rules.items())
    return next((source for source in renamed if source is not None), None)
