"""Names and layouts of other frameworks' tensors, mapped to paths of our leaves and back.

A `Rule` pairs a template for their name with a template for our path. `{i}` in a template stands
for a number and `{part:q|k|v}` for whatever the regular expression after the colon matches; both
templates of a rule hold the same fields, so the same rule reads and writes:

    Rule('encoder.layer.{i}.fc1.weight', 'params/block{i}/fc1/kernel', KERNEL)

Every tensor is used exactly once, every leaf is filled and every shape agrees, or an error lists
what is missing, unexpected or of the wrong shape.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jax.tree_util import tree_structure, tree_unflatten
from jaxtyping import PyTree

from jaxcv.errors import UserError
from jaxcv.interop.report import Report
from jaxcv.train.paths import leaves

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """How our arrays are laid out differently from theirs: `ours(theirs...)` and its inverse.

    Both take and return tuples of numpy arrays, one array per template of the rule.
    """

    ours: Callable[..., tuple[np.ndarray, ...]]
    theirs: Callable[..., tuple[np.ndarray, ...]]


def each(ours: Callable, theirs: Callable) -> Layout:
    """The layout that treats every array of a rule by itself."""
    return Layout(lambda *xs: tuple(map(ours, xs)), lambda *xs: tuple(map(theirs, xs)))


SAME = each(lambda x: x, lambda x: x)
# Linear [out, in] <-> [in, out]; convolution [out, in, *k] <-> [*k, in, out], grouped and
# depthwise ones included: both count the inputs of one group.
KERNEL = each(
    lambda x: np.moveaxis(x, (0, 1), (-1, -2)), lambda x: np.moveaxis(x, (-1, -2), (0, 1))
)


def leading(ones: int) -> Layout:
    """Theirs has `ones` axes of size 1 in front, as in torch's (1, 1, 1, channels)."""
    return each(lambda x: x.reshape(x.shape[ones:]), lambda x: x.reshape((1,) * ones + x.shape))


def parted(parts: int, layout: Layout = SAME) -> Layout:
    """Their one tensor, cut along its first axis, is `parts` of ours: a fused qkv projection."""
    return Layout(
        lambda x: layout.ours(*np.split(x, parts)),
        lambda *xs: (np.concatenate(layout.theirs(*xs)),),
    )


def fused(parts: int, layout: Layout = SAME) -> Layout:
    """`parts` of their tensors, joined along their first axis, are one of ours."""
    return Layout(
        lambda *xs: layout.ours(np.concatenate(xs)),
        lambda x: tuple(np.split(layout.theirs(x)[0], parts)),
    )


@dataclass(frozen=True)
class Rule:
    """Their name(s) <-> our path(s). Several of either side are a tuple of templates."""

    theirs: str | tuple[str, ...]
    ours: str | tuple[str, ...]
    layout: Layout = SAME

    def match(self, path: str) -> Mapping[str, str] | None:
        """The fields with which one of our templates gives `path`."""
        for template in _tuple(self.ours):
            if found := _pattern(template).fullmatch(path):
                return found.groupdict()
        return None

    def names(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(_fill(template, fields) for template in _tuple(self.theirs))

    def paths(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(_fill(template, fields) for template in _tuple(self.ours))


@dataclass(frozen=True)
class Link:
    """A rule with its fields filled in: what one part of a tree corresponds to."""

    names: tuple[str, ...]
    paths: tuple[str, ...]
    layout: Layout


def to_tree(
    rules: Sequence[Rule],
    tensors: Tensors,
    like: PyTree,
    *,
    renames: Sequence[tuple[str, str]] = (),
    ignore: Sequence[str] = (),
) -> PyTree[np.ndarray]:
    """Their tensors in the structure, shapes and dtypes of `like` (arrays or ShapeDtypeStructs).

    `renames` are regular expressions and replacements that bring other spellings of a name (an
    older or newer release) to the one that the rules use. `ignore` are regular expressions of
    names that have no place in our model.
    """
    tensors = canonical(tensors, renames)
    targets = leaves(like)
    links, report = link(rules, targets)
    filled = {}
    for entry in links:
        arrays = [tensors[name] for name in entry.names if name in tensors]
        shapes = _their_shapes(entry, targets)
        report.compare(entry.names, shapes, tensors)
        if [array.shape for array in arrays] == shapes:
            filled |= zip(entry.paths, entry.layout.ours(*arrays), strict=True)
    used = {name for entry in links for name in entry.names}
    report.unexpected += [
        name
        for name in tensors
        if name not in used and not any(re.fullmatch(pattern, name) for pattern in ignore)
    ]
    report.check('the checkpoint does not fit the model')
    arrays = [np.asarray(filled[path], dtype=leaf.dtype) for path, leaf in targets.items()]
    return tree_unflatten(tree_structure(like), arrays)


def to_tensors(rules: Sequence[Rule], tree: PyTree) -> dict[str, np.ndarray]:
    """The leaves of `tree` under their names and in their layout: the inverse of `to_tree`."""
    targets = leaves(tree)
    links, report = link(rules, targets)
    report.check('the rules do not fit the model')
    arrays = {path: np.asarray(leaf) for path, leaf in targets.items()}
    tensors = {}
    for entry in links:
        parts = entry.layout.theirs(*(arrays[path] for path in entry.paths))
        tensors |= zip(entry.names, parts, strict=True)
    return tensors


def link(rules: Sequence[Rule], paths: Iterable[str]) -> tuple[list[Link], Report]:
    """The rules applied to our paths, each path by exactly one rule."""
    paths, report = list(paths), Report()
    links: dict[tuple[str, ...], Link] = {}
    for path in paths:
        fitting = [(rule, rule.match(path)) for rule in rules]
        fitting = [(rule, fields) for rule, fields in fitting if fields is not None]
        if len(fitting) != 1:
            report.unruled.append(f'{path} ({len(fitting)} rules)')
            continue
        rule, fields = fitting[0]
        links[rule.paths(fields)] = Link(rule.names(fields), rule.paths(fields), rule.layout)
    absent = {path for entry in links.values() for path in entry.paths} - set(paths)
    report.unruled += [f'{path} (in a rule, but not in the model)' for path in sorted(absent)]
    uses = Counter(name for entry in links.values() for name in entry.names)
    report.unruled += [f'{name} (used {n} times)' for name, n in uses.items() if n > 1]
    complete = [entry for entry in links.values() if absent.isdisjoint(entry.paths)]
    return complete, report


def canonical(tensors: Tensors, renames: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """The tensors with every rename applied to their names, in order."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        if name in renamed:
            raise UserError(f'two tensors of the checkpoint are called {name!r}')
        renamed[name] = tensor
    return renamed


def _their_shapes(entry, targets):
    """Shapes that their tensors must have: the inverse layout of zeros that take no memory."""
    zeros = [np.broadcast_to(np.float32(0), targets[path].shape) for path in entry.paths]
    return [array.shape for array in entry.layout.theirs(*zeros)]


FIELD = re.compile(r'\{(\w+)(?::([^}]*))?\}')


@lru_cache(maxsize=4096)
def _pattern(template):
    """The regular expression of a template: text verbatim, each field a named group."""
    parts, last = [], 0
    for field in FIELD.finditer(template):
        parts.append(re.escape(template[last : field.start()]))
        parts.append(f'(?P<{field[1]}>{field[2] or "[0-9]+"})')
        last = field.end()
    return re.compile(''.join(parts) + re.escape(template[last:]))


def _fill(template, fields):
    return FIELD.sub(lambda field: fields[field[1]], template)


def _tuple(value):
    return (value,) if isinstance(value, str) else value
