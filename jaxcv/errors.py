"""The error a person sees: one line that says what was wrong, what was expected, what to do."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class UserError(Exception):
    """Something in the config, the data or the machine; the launcher prints it without a trace."""


def choose(value: str, choices: Iterable[str], what: str) -> str:
    """`value` if it is one of `choices`; otherwise an error that names `what` and the nearest."""
    choices = sorted(choices)
    if value in choices:
        return value
    nearest = difflib.get_close_matches(str(value), choices, n=1)
    hint = f'; did you mean {nearest[0]!r}?' if nearest else ''
    raise UserError(f'{what} is {value!r}, but must be one of {", ".join(choices)}{hint}')


def construct(function: Callable, fields: Mapping[str, Any], where: str) -> Any:
    """`function(**fields)`; a field that it does not have is an error. where: 'config.agent'."""
    known = inspect.signature(function).parameters
    for name in fields:
        choose(name, known, f'a field of {where}')
    return function(**fields)
