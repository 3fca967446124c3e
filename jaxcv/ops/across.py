"""The batch across devices: functions that mean the same thing in every layout.

Under `pmap` a step sees one device's shard and the axis `DATA` is bound, so a mean over the batch
needs a collective. Under `jit` over a mesh the step sees the whole batch, XLA inserts the
collective, and the same call is the identity. A step written with these functions is written once.
"""

import jax
from jax import numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Int, Key, PyTree

DATA = 'data'  # the axis along which the batch is split
MODEL = 'model'  # the axis along which parameters are split (tensor parallelism)


def size() -> int:
    """Number of shards the step is mapped over: 1 when it already sees the whole batch."""
    try:
        return jax.lax.axis_size(DATA)
    except NameError:  # the axis is not bound: not inside a mapped step
        return 1


def index() -> Int[Array, ''] | int:
    """Which shard this is."""
    return jax.lax.axis_index(DATA) if size() > 1 else 0


def mean(tree: PyTree) -> PyTree:
    """Mean over shards (each shard holds equally many samples)."""
    return jax.lax.pmean(tree, DATA) if size() > 1 else tree


def sum(tree: PyTree) -> PyTree:
    """Sum over shards."""
    return jax.lax.psum(tree, DATA) if size() > 1 else tree


def slots(local: int) -> Int[Array, 'local']:
    """Positions in the global batch of this shard's `local` samples."""
    return index() * local + jnp.arange(local)


def keys(key: Key[Array, ''], local: int) -> Key[Array, 'local']:
    """One key per sample. It depends on the position in the global batch only, so that a seed
    draws the same numbers for a sample whatever the number of devices."""
    return jax.vmap(lambda slot: jax.random.fold_in(key, slot))(slots(local))


def split(tree: PyTree) -> PyTree:
    """Spreads leading axes over the devices of the ambient mesh (`jax.set_mesh`), if there is one.

    Call it inside `jit` on per-sample keys or inputs: XLA then divides the work that follows."""
    mesh = jax.sharding.get_abstract_mesh()
    if DATA not in mesh.axis_names or size() > 1:
        return tree

    def constrain(x):
        divides = x.ndim > 0 and x.shape[0] % mesh.shape[DATA] == 0
        return jax.lax.with_sharding_constraint(x, PartitionSpec(DATA)) if divides else x

    return jax.tree.map(constrain, tree)
