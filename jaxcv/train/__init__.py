"""The engine: from an experiment's record of pure functions and a config to a run directory."""

import importlib

from jaxcv.errors import UserError
from jaxcv.train.experiment import Experiment, Metrics, State
from jaxcv.train.optimize import Optim, learning_rate, optimizer
from jaxcv.train.settings import Settings
from jaxcv.train.update import TrainState, Update, update

__all__ = [
    'Experiment', 'Metrics', 'Optim', 'Settings', 'State', 'TrainState', 'Update', 'UserError',
    'learning_rate', 'load', 'optimizer', 'run', 'update',
]  # fmt: skip


def __getattr__(name):
    """The loop, configs and other modules load when first touched."""
    homes = {'run': 'loop', 'load': 'config'}
    try:
        module = importlib.import_module(f'{__name__}.{homes.get(name, name)}')
    except ModuleNotFoundError:
        raise AttributeError(f'jaxcv.train has no {name!r}') from None
    return getattr(module, name) if name in homes else module
