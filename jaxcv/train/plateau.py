"""What follows an evaluation metric: reduce-on-plateau and early stopping."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import flax
import jax
import optax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxcv.errors import choose


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """When the updates shrink.

    After more than `patience` evaluations in a row that do not improve the best value, the scale
    is multiplied by `factor`, down to `min_scale`; then `cooldown` evaluations do not count. A
    value improves when it is better than best · (1 ∓ threshold) ('min': minus), or, with
    `relative=False`, than best ∓ threshold."""

    mode: str = 'min'
    patience: int = 10
    factor: float = 0.1
    threshold: float = 1e-4
    relative: bool = True
    cooldown: int = 0
    min_scale: float = 0.0


@flax.struct.dataclass
class PlateauState:
    """Lives in the optimizer's state; the options are part of its structure, not of its leaves."""

    scale: Float[Array, '']
    best: Float[Array, '']
    bad: Int[Array, '']  # evaluations in a row without improvement
    cooling: Int[Array, '']  # evaluations left that do not count
    options: Plateau = flax.struct.field(pytree_node=False)


def reduce_on_plateau(options: Plateau) -> optax.GradientTransformation:
    """Multiplies updates by a scale that `observe` lowers."""
    choose(options.mode, ('min', 'max'), 'the mode of reduce-on-plateau')
    worst = math.inf if options.mode == 'min' else -math.inf

    def init(params):
        del params
        zero = jnp.zeros((), jnp.int32)
        return PlateauState(jnp.float32(1), jnp.float32(worst), zero, zero, options)

    def update(updates, state, params=None):
        del params
        return jax.tree.map(lambda u: u * state.scale.astype(u.dtype), updates), state

    return optax.GradientTransformation(init, update)


def observe(opt_state: PyTree, value: Float[Array, ''] | float) -> PyTree:
    """The state after an evaluation gave `value`. Every plateau anywhere inside is updated; a
    state without one is returned as it is."""
    return jax.tree.map(
        lambda node: _step(node, value) if _is_plateau(node) else node,
        opt_state,
        is_leaf=_is_plateau,
    )


def scale(opt_state: PyTree) -> Float[Array, '']:
    """The product of the scales of all plateaus inside; 1 without one."""
    product = jnp.float32(1)
    for leaf in jax.tree.leaves(opt_state, is_leaf=_is_plateau):
        if _is_plateau(leaf):
            product = product * leaf.scale
    return product


def should_stop(
    values: Sequence[float], *, patience: int, mode: str = 'min', min_delta: float = 0.0
) -> bool:
    """Whether the last `patience` of the evaluation `values` (oldest first) all failed to improve
    the best value before them by more than `min_delta`."""
    choose(mode, ('min', 'max'), 'the mode of early stopping')
    best, waited = math.inf, 0
    for value in values:
        value = value if mode == 'min' else -value
        best, waited = (value, 0) if value < best - min_delta else (best, waited + 1)
    return waited >= patience


@jax.jit
def _step(state, value):
    options = state.options
    sign = -1 if options.mode == 'min' else 1
    if options.relative:
        bound = state.best * (1 + sign * options.threshold)
    else:
        bound = state.best + sign * options.threshold
    better = sign * value > sign * bound

    bad = jnp.where(better | (state.cooling > 0), 0, state.bad + 1)
    cooling = jnp.maximum(state.cooling - 1, 0)
    reduce = bad > options.patience
    return state.replace(
        scale=jnp.where(
            reduce, jnp.maximum(state.scale * options.factor, options.min_scale), state.scale
        ),
        best=jnp.where(better, value, state.best),
        bad=jnp.where(reduce, 0, bad),
        cooling=jnp.where(reduce, options.cooldown, cooling),
    )


def _is_plateau(node):
    return isinstance(node, PlateauState)
