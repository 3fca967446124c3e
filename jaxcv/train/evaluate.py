"""Evaluation over a data set: a sum over samples, whatever the number of devices."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from jaxcv.data import decoded, epoch
from jaxcv.ops import across

Sums = PyTree[Array]


def over(
    dataset,
    batch_size: int,
    measure: Callable[[Any, Any, Key[Array, 'b']], Sums],
    finish: Callable[[Sums], Mapping[str, Any]],
) -> Callable[[Any, Key[Array, '']], Mapping[str, Any]]:
    """An `evaluate` of an experiment: one ordered pass over `dataset`.

    `measure(state, batch, keys)` gives sums over the samples of a batch where `batch['valid']`
    (the last batch is padded); `finish` makes metrics of the sums over all of them. The work of
    a batch is divided over the devices.
    """

    @jax.jit
    def sums(state, batch, key, first):
        slots = first + jax.numpy.arange(batch_size)
        keys = jax.vmap(lambda slot: jax.random.fold_in(key, slot))(slots)
        batch, keys = across.split((batch, keys))
        return across.whole(measure(state, batch, keys))

    @functools.cache
    def samples():
        return decoded(dataset)

    def evaluate(state, key):
        total = None
        for number, batch in enumerate(epoch(samples(), batch_size)):
            part = jax.device_get(sums(state, batch, key, number * batch_size))
            part = jax.tree.map(lambda x: np.asarray(x, np.float64), part)
            total = part if total is None else jax.tree.map(np.add, total, part)
        return finish(total)

    return evaluate
