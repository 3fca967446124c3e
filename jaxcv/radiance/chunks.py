"""Many points or rays, some at a time: memory for one chunk, whatever their number."""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import PyTree


def by_chunks(function: Callable[[PyTree], PyTree], inputs: PyTree, size: int) -> PyTree:
    """function(inputs), a function of [n ...] that treats rows alone, for `size` rows at a time.

    A chunk takes every so many-th row, so that all of them are alike. The last row fills up what
    is not full.
    """
    count = len(jax.tree.leaves(inputs)[0])
    chunks = -(-count // size)
    if chunks <= 1:
        return function(inputs)
    index = jnp.minimum(jnp.arange(size * chunks), count - 1).reshape(size, chunks)
    outputs = jax.lax.map(lambda rows: function(jax.tree.map(lambda x: x[rows], inputs)), index.T)
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:])[:count], outputs)
