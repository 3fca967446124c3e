"""Names for the leaves of a pytree, and patterns over them.

A leaf's path joins dict keys, attribute names and sequence indices by '/':
'params/Conv_0/kernel', 'opt_state/0/mu/head/bias'. In a pattern

  `*`   is any run of characters inside one component ('Conv_*'), `?` one character,
  `**`  as a whole component is any number of components, none included:
        'backbone/**' everything in backbone, '**/bias' every bias.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import jax
from jaxtyping import PyTree

from jaxcv.errors import UserError


def path_of(key_path: Sequence[Any]) -> str:
    """The path of a leaf, from JAX's key path."""
    return jax.tree_util.keystr(key_path, simple=True, separator='/')


def leaves(tree: PyTree) -> dict[str, Any]:
    """Every leaf under its path, in the order of `jax.tree.leaves`."""
    return {path_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def map_with_path(function: Callable[..., Any], tree: PyTree, *rest: PyTree) -> PyTree:
    """`jax.tree.map` of `function(path, leaf, *rest_leaves)`."""
    return jax.tree_util.tree_map_with_path(
        lambda path, *values: function(path_of(path), *values), tree, *rest
    )


def matches(patterns: str | Iterable[str], path: str) -> bool:
    """Whether `path` matches the pattern, or any of them."""
    patterns = (patterns,) if isinstance(patterns, str) else patterns
    return any(_compile(pattern).fullmatch('/' + path) for pattern in patterns)


def mask(patterns: str | Iterable[str], tree: PyTree) -> PyTree[bool]:
    """A tree of bool: which leaves match."""
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    return map_with_path(lambda path, _: matches(patterns, path), tree)


def require(patterns: str | Iterable[str], tree: PyTree, what: str) -> None:
    """An error that names the pattern, `what` it was given for and the nearest paths, for the
    first pattern that matches no leaf of `tree`."""
    patterns = (patterns,) if isinstance(patterns, str) else patterns
    known = list(leaves(tree))
    for pattern in patterns:
        if not any(matches(pattern, path) for path in known):
            near = ', '.join(nearest(pattern, known)) or 'nothing'
            raise UserError(f'{what}: pattern {pattern!r} matches no leaf; the nearest are {near}')


def nearest(pattern: str, known: Sequence[str], count: int = 3) -> list[str]:
    """The paths most like `pattern`, best first."""
    plain = pattern.replace('**/', '').replace('/**', '')

    def likeness(path):
        # A pattern usually names a few components of a path, so compare with the best stretch.
        parts, width = path.split('/'), plain.count('/') + 1
        stretches = ('/'.join(parts[i : i + width]) for i in range(len(parts)))
        return max(difflib.SequenceMatcher(None, plain, part).ratio() for part in stretches)

    return sorted(known, key=likeness, reverse=True)[:count]


def rename(pattern: str, replacement: str, path: str) -> str | None:
    """`path` with what the wildcards of `pattern` stand for put into those of `replacement`,
    first to first: ('params/backbone/**', 'params/**', 'params/backbone/Conv_0/kernel') gives
    'params/Conv_0/kernel'. None where `pattern` does not match."""
    found, holes = _compile(pattern).fullmatch('/' + path), _wildcards(replacement)
    if holes != _wildcards(pattern):
        raise UserError(
            f'pattern {replacement!r} must have the wildcards of {pattern!r}, in the same order'
        )
    if not found:
        return None
    values = iter(found.groups())
    return ''.join(
        next(values) if part == '**' else '/' + ''.join(_fill(part, values))
        for part in replacement.split('/')
    ).lstrip('/')


def _wildcards(pattern):
    return [
        hole
        for part in pattern.split('/')
        for hole in ([part] if part == '**' else re.findall(r'[*?]', part))
    ]


def _fill(part, values):
    return (next(values) if character in '*?' else character for character in part)


@lru_cache(maxsize=4096)
def _compile(pattern):
    """A regular expression over '/' + path, with a group for each wildcard."""
    special = {'*': '([^/]*)', '?': '([^/])'}
    return re.compile(
        ''.join(
            '((?:/[^/]*)*)'
            if part == '**'
            else '/' + ''.join(special.get(c) or re.escape(c) for c in part)
            for part in pattern.split('/')
        ),
        re.DOTALL,
    )
