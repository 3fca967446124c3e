"""Assembly: each module here has `build(config, **needs) -> Experiment`, and the launchers."""

import importlib
import pkgutil
from pathlib import Path

import jaxcv.train
from jaxcv.errors import choose
from jaxcv.train import Experiment

LAUNCHERS = ('command', 'compare', 'encode', 'extract', 'group', 'main', 'sweep', 'view')


def names() -> list[str]:
    """The experiments that exist."""
    modules = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return sorted(name for name in modules if name not in LAUNCHERS)


def build(config, root: str | Path = 'runs/needs', devices=None) -> Experiment:
    """The experiment of a config. Runs that it needs are trained below `root` where missing."""
    needs = jaxcv.train.needs.resolve(config, assemble, Path(root), devices)
    return assemble(config, **needs)


def assemble(config, **needs) -> Experiment:
    """The experiment of a config whose needs are at hand."""
    name = choose(config.experiment, names(), 'config.experiment')
    return importlib.import_module(f'experiments.{name}').build(config, **needs)
