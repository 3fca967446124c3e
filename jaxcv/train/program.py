"""The compiled program of a call: up to `capacity` steps on the device, in one loop."""

from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Int, Key

from jaxcv.data.batches import Held, Stream
from jaxcv.ops import across
from jaxcv.train.experiment import Experiment
from jaxcv.train.parallel import Source


class Keys(NamedTuple):
    """A run's streams of randomness, all from its seed."""

    init: Key[Array, '']
    data: Key[Array, '']
    step: Key[Array, '']
    evaluate: Key[Array, '']
    show: Key[Array, '']
    adapt: Key[Array, '']


class When(NamedTuple):
    """Which steps a call runs: `count` of them from number `first` (from 0), as [first, count].
    Few arguments, because each costs the host some microseconds a call."""

    data: Key[Array, '']
    step: Key[Array, '']
    span: Int[Array, '2']


def keys(seed: int) -> Keys:
    root = jax.random.key(seed)
    return Keys(*(jax.random.fold_in(root, i) for i in range(len(Keys._fields))))


def when(keys: Keys, first: int, count: int) -> When:
    return When(keys.data, keys.step, np.array([first, count], np.int32))


def body(experiment: Experiment, capacity: int, names: list[str]):
    """`(state, source, slots, when) -> (state, metrics [names, capacity])` for a layout to
    compile. Tracing it fills in `names`. The number of steps is an argument: one program serves
    every stretch between two looks from the host."""

    def once(state, source, slots, when, i):
        step = when.span[0] + i
        batch = _batch(experiment.batches, source, when.data, step, slots, i)
        state, metrics = experiment.step(state, batch, jax.random.fold_in(when.step, step))
        metrics = across.mean(dict(sorted(metrics.items())))
        return state, {name: jnp.asarray(x, jnp.float32) for name, x in metrics.items()}

    def run(state, source: Source, slots, when: When):
        shapes = jax.eval_shape(once, state, source, slots, when, when.span[0])[1]
        for name, shape in shapes.items():
            if shape.shape:
                raise TypeError(f'metric {name!r} has shape {shape.shape}; metrics are scalars')
        names[:] = shapes

        def record(i, carry):
            state, out = carry
            state, metrics = once(state, source, slots, when, i)
            return state, out.at[:, i].set(jnp.stack(list(metrics.values())))

        carry = state, jnp.zeros((len(names), capacity), jnp.float32)
        if capacity == 1:
            return record(0, carry)
        return jax.lax.fori_loop(0, when.span[1], record, carry)

    return run


def _batch(batches, source, key, step, slots, i):
    if isinstance(batches, Held):
        return across.split(batches.sample(source.held, key, step, slots))
    if isinstance(batches, Stream):
        return jax.tree.map(lambda x: x[i], source.fed)
    return None
