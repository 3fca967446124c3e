"""Computer vision as pure functions in JAX.

Rooms load when first touched, so `import jaxcv` costs little more than `import jax`: `jaxcv.train`,
`jaxcv.data`, `jaxcv.nn`, `jaxcv.ops`, `jaxcv.viz`, `jaxcv.interop`, and one room per subject.
"""

import importlib
import pkgutil

from jaxcv.ops import threefry

__version__ = '0.1.0'
_ROOMS = tuple(module.name for module in pkgutil.iter_modules(__path__))

threefry.install()


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f'{__name__}.{name}')
    raise AttributeError(f'jaxcv has no {name!r}; its rooms are {", ".join(_ROOMS)}')


def __dir__():
    return sorted((*globals(), *_ROOMS))
