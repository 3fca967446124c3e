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


def mapped() -> bool:
    """Whether the code sees one shard of the batch, rather than all of it."""
    try:
        jax.lax.axis_size(DATA)
    except NameError:  # the axis is not bound
        return False
    return True


def size() -> int:
    """Number of shards: 1 when the code sees the whole batch."""
    return jax.lax.axis_size(DATA) if mapped() else 1


def index() -> Int[Array, ''] | int:
    """Which shard this is."""
    return jax.lax.axis_index(DATA) if mapped() else 0


def mean(tree: PyTree) -> PyTree:
    """Mean over shards (each shard holds equally many samples)."""
    return jax.lax.pmean(tree, DATA) if mapped() else tree


def agreed(tree: PyTree) -> PyTree:
    """The mean over shards of floating-point arrays; integers and booleans, of which there is none,
    must be the same on all shards."""
    if not mapped():
        return tree
    leaves, structure = jax.tree.flatten(tree)
    places = [i for i, x in enumerate(leaves) if jnp.issubdtype(x.dtype, jnp.floating)]
    for i, x in zip(places, mean([leaves[i] for i in places]), strict=True):
        leaves[i] = x
    return jax.tree.unflatten(structure, leaves)


def sum(tree: PyTree) -> PyTree:
    """Sum over shards."""
    return jax.lax.psum(tree, DATA) if mapped() else tree


def max(tree: PyTree) -> PyTree:
    """The largest of all shards."""
    return jax.lax.pmax(tree, DATA) if mapped() else tree


def slots(local: int) -> Int[Array, 'local']:
    """Positions in the global batch of this shard's `local` samples."""
    return index() * local + jnp.arange(local)


def keys(key: Key[Array, ''], local: int) -> Key[Array, 'local']:
    """One key per sample. It depends on the position in the global batch only, so that a seed
    draws the same numbers for a sample whatever the number of devices."""
    return jax.vmap(lambda slot: jax.random.fold_in(key, slot))(slots(local))


def first_key(keys: Key[Array, 'b']) -> Key[Array, '']:
    """The key of the first sample of the global batch: one for all shards."""
    data = jax.random.key_data(keys[0])
    data = sum(jnp.where(index() == 0, data, jnp.zeros_like(data)))
    return jax.random.wrap_key_data(data, impl=jax.random.key_impl(keys))


def split(tree: PyTree) -> PyTree:
    """Spreads leading axes over the devices of the ambient mesh (`jax.set_mesh`), if there is one.

    Call it inside `jit` on per-sample keys or inputs: XLA then divides the work that follows."""
    mesh = jax.sharding.get_abstract_mesh()
    if mapped() or DATA not in mesh.axis_names:
        return tree

    def constrain(x):
        divides = x.ndim > 0 and x.shape[0] % mesh.shape[DATA] == 0
        return jax.lax.with_sharding_constraint(x, PartitionSpec(DATA)) if divides else x

    return jax.tree.map(constrain, tree)


def whole(tree: PyTree) -> PyTree:
    """The inverse of `split`: every device gets all of it, so that every process can read it."""
    if mapped() or DATA not in jax.sharding.get_abstract_mesh().axis_names:
        return tree
    return jax.lax.with_sharding_constraint(tree, PartitionSpec())
