"""Optimizers by name: `optimizer(Optim(name='adamw', lr=1e-3), steps)` is an optax transformation.

What happens to a gradient, in this order:

1. clip by value, then by global norm;
2. coupled decay, for all but adamw and muon:  g ← g + weight_decay · w + l1 · sign(w);
3. the direction of the named optimizer;
4. decoupled decay, for adamw and muon:        d ← d + weight_decay · w + l1 · sign(w);
5. the scale of reduce-on-plateau;
6. w ← w - lr(t) · d.

So weight decay means what it means in torch's optimizers of the same names, and adamw's is
multiplied by the learning rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import optax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxcv.errors import UserError, choose
from jaxcv.train import muon, paths, plateau
from jaxcv.train.schedule import schedule


@dataclass(frozen=True, kw_only=True)
class Optim:
    """The `optim` section of a config. A 0 in the second group means the optimizer's own value."""

    name: str = 'adamw'  # sgd momentum nesterov adagrad rmsprop adadelta adam adamw muon
    lr: float = 1e-3  # the peak rate

    momentum: float = 0.0  # momentum, nesterov (0.9) and muon (0.95)
    beta1: float = 0.0  # decay of the mean of gradients: adam, adamw, muon (0.9)
    # Of their squares: adam, adamw, muon (0.999), rmsprop (0.99), adadelta (0.9).
    beta2: float = 0.0
    eps: float = 0.0  # 1e-8; adagrad 1e-10, adadelta 1e-6

    schedule: str = 'constant'  # constant cosine linear step multistep
    warmup: int = 0  # steps of linear warm-up, counted in the steps of the run
    end: float = 0.0  # cosine, linear: the final factor
    every: int = 0  # step: steps between decays
    gamma: float = 0.1  # step, multistep: the factor of a decay
    milestones: tuple = ()  # multistep: steps at which the rate decays

    clip_value: float = 0.0  # each entry of the gradient into [-clip_value, clip_value]; 0: off
    clip_norm: float = 0.0  # the global norm of the gradient to at most this; 0: off
    weight_decay: float = 0.0  # L2
    l1: float = 0.0
    decay: tuple = ()  # path patterns of the leaves that decay; empty: those with 2 axes or more
    adam: tuple = muon.EMBEDDINGS_AND_HEADS  # muon: path patterns of matrices that Adam updates

    plateau: str = ''  # the evaluation metric whose plateaus reduce the rate; empty: off
    plateau_mode: str = 'min'
    plateau_patience: int = 10
    plateau_factor: float = 0.1
    plateau_threshold: float = 1e-4  # relative
    plateau_cooldown: int = 0
    plateau_min_scale: float = 0.0


class RateState(NamedTuple):
    count: Int[Array, '']
    rate: Float[Array, '']  # of the last update


_OWN = {
    'sgd': {},
    'momentum': {'momentum': 0.9},
    'nesterov': {'momentum': 0.9},
    'adagrad': {'eps': 1e-10},
    'rmsprop': {'beta2': 0.99, 'eps': 1e-8},
    'adadelta': {'beta2': 0.9, 'eps': 1e-6},
    'adam': {'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-8},
    'adamw': {'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-8},
    'muon': {'momentum': 0.95, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-8},
}
NAMES = tuple(_OWN)
DECOUPLED = ('adamw', 'muon')


def optimizer(optim: Optim, steps: int) -> optax.GradientTransformation:
    """The transformation of a run of `steps` steps. `update` needs the parameters."""
    choose(optim.name, NAMES, 'optim.name')
    if optim.lr < 0:
        raise UserError(f'optim.lr is {optim.lr}, but must not be negative')
    rate = schedule(
        optim.lr,
        name=optim.schedule,
        steps=steps,
        warmup=optim.warmup,
        end=optim.end,
        every=optim.every,
        gamma=optim.gamma,
        milestones=optim.milestones,
    )
    decays = decay(optim.weight_decay, optim.l1, optim.decay)
    decoupled = optim.name in DECOUPLED
    return optax.chain(
        clip(optim.clip_value, optim.clip_norm),
        optax.identity() if decoupled else decays,
        direction(optim),
        decays if decoupled else optax.identity(),
        _plateau(optim),
        scale_by_rate(rate),
    )


def clip(value: float = 0.0, norm: float = 0.0) -> optax.GradientTransformation:
    """Clips entries to [-value, value], then the global norm to `norm`; 0 turns either off."""
    return optax.chain(
        optax.clip(value) if value else optax.identity(),
        optax.clip_by_global_norm(norm) if norm else optax.identity(),
    )


def decay(l2: float, l1: float, patterns: Sequence[str] = ()) -> optax.GradientTransformation:
    """Adds l2 · w + l1 · sign(w) to the leaves that match, by default matrices and kernels."""
    if not (l2 or l1):
        return optax.identity()

    def add(path, update, param):
        if not (paths.matches(patterns, path) if patterns else param.ndim >= 2):
            return update
        return update + (l2 * param + l1 * jnp.sign(param)).astype(update.dtype)

    def init(params):
        paths.require(patterns, params, 'optim.decay')
        return optax.EmptyState()

    def update(updates, state, params):
        return paths.map_with_path(add, updates, params), state

    return optax.GradientTransformation(init, update)


def direction(optim: Optim) -> optax.GradientTransformation:
    """Which way the named optimizer goes: the update before decoupled decay and rate."""
    own = {name: getattr(optim, name) or value for name, value in _OWN[optim.name].items()}
    match optim.name:
        case 'sgd':
            return optax.identity()
        case 'momentum' | 'nesterov':
            return optax.trace(own['momentum'], nesterov=optim.name == 'nesterov')
        case 'adagrad':
            # optax adds eps under the root, torch to it.
            return optax.scale_by_rss(initial_accumulator_value=0.0, eps=own['eps'] ** 2)
        case 'rmsprop':
            return optax.scale_by_rms(own['beta2'], own['eps'], eps_in_sqrt=False)
        case 'adadelta':
            return optax.scale_by_adadelta(own['beta2'], own['eps'])
        case 'adam' | 'adamw':
            return optax.scale_by_adam(own['beta1'], own['beta2'], own['eps'])
        case 'muon':
            return muon.scale_by_muon(**own, adam=optim.adam)


def scale_by_rate(rate: optax.Schedule) -> optax.GradientTransformation:
    """Multiplies by -rate(t) and keeps the rate where `learning_rate` finds it."""

    def init(params):
        del params
        return RateState(jnp.zeros((), jnp.int32), rate(0))

    def update(updates, state, params=None):
        del params
        now = rate(state.count)
        updates = jax.tree.map(lambda u: -now.astype(u.dtype) * u, updates)
        return updates, RateState(optax.safe_increment(state.count), now)

    return optax.GradientTransformation(init, update)


def learning_rate(opt_state: PyTree) -> Float[Array, '']:
    """The rate of the last update, times the scale of reduce-on-plateau: a metric to log.

    Of the first optimizer inside; with several, give one optimizer's state at a time."""
    found = (
        leaf
        for leaf in jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, RateState))
        if isinstance(leaf, RateState)
    )
    return next(found).rate * plateau.scale(opt_state)


def _plateau(optim):
    if not optim.plateau:
        return optax.identity()
    return plateau.reduce_on_plateau(
        plateau.Plateau(
            mode=optim.plateau_mode,
            patience=optim.plateau_patience,
            factor=optim.plateau_factor,
            threshold=optim.plateau_threshold,
            cooldown=optim.plateau_cooldown,
            min_scale=optim.plateau_min_scale,
        )
    )
