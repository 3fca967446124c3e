"""What a model costs, read from its program: sizes, receptive fields, parameters, products."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
from flax import linen
from jax.extend.core import Literal

OTHER = '(no parameters)'  # products of activations with one another, as in attention


@dataclass(frozen=True)
class Line:
    """One layer. Size and products are per sample."""

    layer: str
    output: tuple[int, ...] | None  # without the batch; None: the layer itself has no output
    field: tuple[int, ...] | None  # receptive field per axis of space; None: not by convolutions
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Trace:
    """What is known of a value: its receptive field and the spacing of its positions, per axis of
    space, and the parameter that it is, if it is one."""

    field: tuple[int, ...] | None = None
    jump: tuple[int, ...] | None = None
    origin: str | None = None


def cost(module: linen.Module, example: jax.Array, *arguments: Any, **options: Any) -> list[Line]:
    """One line per layer that has parameters or an output, in order of the program.

    `example` is a batch [b, *s, c] (nothing is computed; a `jax.ShapeDtypeStruct` will do); the
    rest is passed on to the module. The receptive field is exact for convolutions in any order,
    branches included (the largest counts), and windows of `linen.max_pool` and `avg_pool`; past
    anything else that mixes positions it is None. What reaches a position only as a statistic that
    scales or shifts it (normalization, gating) does not count. A multiply-add is one product of a
    convolution or matrix product.
    """

    def run(variables, x):
        kept = [name for name in variables if name != 'params']
        _, state = module.apply(
            variables,
            x,
            *arguments,
            capture_intermediates=True,
            mutable=[*kept, 'intermediates'],
            **options,
        )
        return state['intermediates']

    start = jax.eval_shape(
        lambda x: module.init(jax.random.key(0), x, *arguments, **options), example
    )
    program, outputs = jax.make_jaxpr(run, return_shape=True)(start, example)
    paths = [leaf_path(path) for path, _ in jax.tree_util.tree_leaves_with_path(start)]
    space = example.ndim - 2
    first = Trace((1,) * space, (1,) * space) if space > 0 else Trace()
    products: dict[str, int] = {}
    traces = walk(program.jaxpr, [*(Trace(origin=p) for p in paths), first], products)
    sizes = {}
    for (path, leaf), trace in zip(
        jax.tree_util.tree_leaves_with_path(outputs), traces, strict=True
    ):
        sizes[leaf_path(path, skip=('__call__',))] = (leaf.shape[1:], trace.field)
    return lines(start.get('params', {}), sizes, products, example.shape[0])


def lines(params, sizes, products, samples) -> list[Line]:
    counts: dict[str, int] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        layer = leaf_path(path).rpartition('/')[0]
        counts[layer] = counts.get(layer, 0) + math.prod(leaf.shape)
    by_layer: dict[str, int] = {}
    for origin, number in products.items():
        layer = origin if origin == OTHER else origin.removeprefix('params/').rpartition('/')[0]
        by_layer[layer] = by_layer.get(layer, 0) + number
    names = dict.fromkeys([*sizes, *counts, *by_layer])
    return [
        Line(
            name,
            *sizes.get(name, (None, None)),
            counts.get(name, 0),
            by_layer.get(name, 0) // samples,
        )
        for name in names
    ]


def leaf_path(path, skip=()) -> str:
    keys = [str(key.key) for key in path if isinstance(key, jax.tree_util.DictKey)]
    return '/'.join(key for key in keys if key not in skip)


def walk(jaxpr, known: list[Trace], products: dict[str, int], times: int = 1) -> list[Trace]:
    """Follows what is known of the inputs to the outputs, and counts products by parameter."""
    traces = dict(zip(jaxpr.invars, known, strict=True))
    get = lambda v: Trace() if isinstance(v, Literal) else traces.get(v, Trace())  # noqa: E731
    for eqn in jaxpr.eqns:
        inputs = [get(v) for v in eqn.invars]
        number = multiply_adds(eqn)
        if number:
            origins = [t.origin for t in inputs if t.origin]
            key = origins[0] if origins else OTHER
            products[key] = products.get(key, 0) + number * times
        outs = None
        for inner, repeats in bodies(eqn):
            if len(inner.invars) == len(inputs):
                outs = walk(inner, inputs, products, times * repeats)
        if outs is None or len(outs) != len(eqn.outvars):
            outs = [after(eqn, inputs)] * len(eqn.outvars)
        traces.update(zip(eqn.outvars, outs, strict=True))
    return [get(v) for v in jaxpr.outvars]


def bodies(eqn) -> Iterator[tuple[Any, int]]:
    """Programs inside an equation, and how often they run."""
    repeats = eqn.params.get('length', 1) if eqn.primitive.name == 'scan' else 1
    for name in ('jaxpr', 'call_jaxpr'):
        inner = eqn.params.get(name)
        if inner is not None:
            yield getattr(inner, 'jaxpr', inner), repeats


def multiply_adds(eqn) -> int:
    shapes = [v.aval.shape for v in eqn.invars]
    if eqn.primitive.name == 'convolution':
        role = eqn.params['role']
        k = shapes[0] if role == 'x' else shapes[1]
        y = eqn.outvars[0].aval.shape if role == 'y' else shapes[1]
        return math.prod(y) * math.prod(k[:-1]) if role != 'k' else 0
    if eqn.primitive.name == 'dot_general':
        (contracted, _), _ = eqn.params['dimension_numbers']
        return math.prod(eqn.outvars[0].aval.shape) * math.prod(shapes[0][i] for i in contracted)
    if eqn.primitive.name == 'conv_general_dilated':
        features = shapes[1][eqn.params['dimension_numbers'].rhs_spec[0]]
        return math.prod(eqn.outvars[0].aval.shape) * math.prod(shapes[1]) // features
    return 0


def after(eqn, inputs: list[Trace]) -> Trace:
    """What is known of a result. Only what keeps positions in place, or moves a window over them,
    keeps the receptive field."""
    name, shape = eqn.primitive.name, eqn.outvars[0].aval.shape
    spatial = [t for t in inputs if t.field]
    origins = [t.origin for t in inputs if t.origin]
    if not spatial:
        return Trace(origin=origins[0] if len(inputs) == 1 and origins else None)
    field = tuple(max(f) for f in zip(*(t.field for t in spatial), strict=True))
    jump = tuple(max(j) for j in zip(*(t.jump for t in spatial), strict=True))
    source = next(v.aval.shape for v, t in zip(eqn.invars, inputs, strict=True) if t.field)
    window = moving_window(eqn)
    if window:
        spans, strides = window
        grown = tuple(f + (e - 1) * j for f, e, j in zip(field, spans, jump, strict=True))
        return Trace(grown, tuple(j * s for j, s in zip(jump, strides, strict=True)))
    n = len(field)
    pointwise = len(shape) == len(source) == n + 2 and shape[1 : n + 1] == source[1 : n + 1]
    mixes = name.startswith(('reduce', 'cum', 'sort', 'rev', 'gather', 'transpose', 'reshape'))
    if name == 'dot_general':
        (contracted, _), _ = eqn.params['dimension_numbers']
        mixes = any(1 <= i <= n for i in contracted)
    return Trace(field, jump) if pointwise and not mixes else Trace()


def moving_window(eqn) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Span and strides of what slides over space."""
    name, params = eqn.primitive.name, eqn.params
    if name == 'convolution' and params['role'] == 'y':
        return params['geometry'].extent, params['geometry'].strides
    if name.startswith('reduce_window'):
        dilation = params['window_dilation']
        spans = [
            (k - 1) * d + 1 for k, d in zip(params['window_dimensions'], dilation, strict=True)
        ]
        return tuple(spans[1:-1]), tuple(params['window_strides'][1:-1])
    if name == 'conv_general_dilated' and set(params['lhs_dilation']) == {1}:
        spec = params['dimension_numbers'].rhs_spec
        taps = [eqn.invars[1].aval.shape[i] for i in spec[2:]]
        spans = [(k - 1) * d + 1 for k, d in zip(taps, params['rhs_dilation'], strict=True)]
        return tuple(spans), tuple(params['window_strides'])
    return None


def table(report: list[Line]) -> str:
    """The report as aligned columns with a last line of sums."""
    size = lambda t: '-' if t is None else 'x'.join(map(str, t)) or '1'  # noqa: E731
    rows = [('layer', 'output', 'receptive field', 'parameters', 'multiply-adds')]
    for line in report:
        numbers = f'{line.parameters:,}', f'{line.multiply_adds:,}'
        rows.append((line.layer or '(whole)', size(line.output), size(line.field), *numbers))
    sums = sum(r.parameters for r in report), sum(r.multiply_adds for r in report)
    rows.append(('total', '', '', *(f'{n:,}' for n in sums)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(map(str.ljust, row, widths)).rstrip() for row in rows)
