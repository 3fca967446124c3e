"""What is wrong inside a network: gradients by layer, dead units, and what they mean.

An evaluation named 'diagnostics' that returns `metrics(...)` fills that part of the report.
"""

import math
import re
from collections.abc import Callable, Mapping

from jax import numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxcv.errors import UserError
from jaxcv.nn import Activation
from jaxcv.train import paths

CONSTANT = 1e-6  # spread, relative to the size, up to which a unit counts as constant
MANY = 0.5  # share of dead units in a layer that is worth a word
RATIO = 1e4  # between the gradients of the first and the last layer


def gradient_norms(grads: PyTree[Array]) -> dict[str, Float[Array, '']]:
    """Euclidean norm of each layer's gradient; a layer is the parent of its leaves ('Conv_0')."""
    squares: dict[str, Array] = {}
    for path, leaf in paths.leaves(grads).items():
        layer = path.rpartition('/')[0]
        square = jnp.sum(jnp.square(jnp.abs(leaf.astype(jnp.float32))))
        squares[layer] = squares.get(layer, 0.0) + square
    return {layer: jnp.sqrt(square) for layer, square in squares.items()}


def dead_units(
    apply: Callable, variables: PyTree[Array], *inputs, **options
) -> dict[str, Float[Array, '']]:
    """Share of dead units of each `jaxcv.nn.Activation`: its channels (last axis) that are zero,
    or any other constant, for every sample and position.

    `apply` is `module.apply`; `inputs` and `options` are what it takes after the variables. A
    module that is called several times is judged over all its calls.
    """
    outputs = activations(apply, variables, *inputs, **options)
    return {layer: _dead(layer, calls) for layer, calls in outputs.items()}


def activations(apply, variables, *inputs, **options) -> dict[str, list[Array]]:
    """What each `Activation` gives, by layer, a list with an entry for each call."""
    _, captured = apply(
        variables,
        *inputs,
        capture_intermediates=lambda module, _: isinstance(module, Activation),
        mutable=['intermediates'],
        **options,
    )
    outputs: dict[str, list[Array]] = {}
    for path, output in paths.leaves(captured.get('intermediates', {})).items():
        layer, called, _ = path.rpartition('__call__')
        if called:
            outputs.setdefault(layer.rstrip('/'), []).append(output)
    return outputs


def _dead(layer, calls):
    values = jnp.concatenate([x.reshape(-1, x.shape[-1]) for x in calls]).astype(jnp.float32)
    if len(values) < 2:
        raise UserError(f'dead units of {layer!r} from one sample: at least two are needed')
    low, high = values.min(0), values.max(0)
    size = jnp.maximum(jnp.abs(low), jnp.abs(high))
    return jnp.mean(high - low <= CONSTANT * size)


def metrics(
    norms: Mapping[str, Array] | None = None, dead: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """The outputs of `gradient_norms` and `dead_units` under their metric names."""
    return {f'grad_norm/{layer}': x for layer, x in (norms or {}).items()} | {
        f'dead/{layer}': x for layer, x in (dead or {}).items()
    }


def findings(metrics: Mapping[str, float]) -> list[str]:
    """What the metrics say, in words; empty where nothing is wrong.

    Gradients are compared between layers whose names differ only in their numbers ('Dense_0' and
    'Dense_19', 'block_0/mlp' and 'block_11/mlp'): those are in order, and alike.
    """
    norms = layers(metrics, 'grad_norm')
    return _dead_findings(layers(metrics, 'dead')) + _gradient_findings(norms)


def layers(metrics: Mapping[str, float], kind: str) -> dict[str, float]:
    """The metrics '<kind>/<layer>' by layer, numbers in their names in order."""
    found = {
        name.removeprefix(f'{kind}/'): value
        for name, value in metrics.items()
        if name.startswith(f'{kind}/')
    }
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def _dead_findings(dead):
    found = []
    for layer, share in dead.items():
        if share is None:  # was not a number
            continue
        if share >= 1:
            found.append(f'{layer} is dead: no unit changes with the input, so nothing passes it.')
        elif share >= MANY:
            found.append(f'{layer}: {share:.0%} of the units are dead.')
    return found


def _gradient_findings(norms):
    found = [
        f'{layer}: the gradient is not finite.'
        for layer, norm in norms.items()
        if norm is None or not math.isfinite(norm)
    ]
    finite = {k: v for k, v in norms.items() if v is not None and math.isfinite(v)}
    silent = [layer for layer, norm in finite.items() if norm == 0]
    if silent:
        names = ', '.join(silent[:3]) + (f' and {len(silent) - 3} more' if silent[3:] else '')
        found.append(f'No gradient reaches {names}.')
    for first, last in _ends(finite):
        ratio = finite[first] / finite[last] if finite[last] else 1.0
        if 0 < ratio < 1 / RATIO:
            text = f'Gradients vanish: {first} gets {_times(1 / ratio)} times less than {last}.'
            found.append(text)
        elif ratio > RATIO:
            text = f'Gradients explode: {first} gets {_times(ratio)} times more than {last}.'
            found.append(text)
    return found


def _times(ratio):
    return f'{float(f"{ratio:.2g}"):,.0f}' if ratio < 1e9 else f'{ratio:.1e}'


def _ends(names):
    """(first, last) of each family of names that differ only in their numbers."""
    families: dict[str, list[str]] = {}
    for name in sorted(names, key=_natural):
        families.setdefault(re.sub(r'\d+', '#', name), []).append(name)
    return [(family[0], family[-1]) for family in families.values() if len(family) > 1]


def _natural(name):
    """A sort key that puts 'Dense_10' after 'Dense_9'."""
    return [(int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'(\d+)', name)]
