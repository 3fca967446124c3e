"""The leaves of a state as Orbax stores them.

Orbax takes neither typed keys nor empty arrays, and its names may not hold slashes: keys are
stored as their data, empty arrays only in the index {path: [dtype, shape]} beside the arrays.
"""

import math
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import PyTree

from jaxcv.errors import UserError
from jaxcv.train import paths

IMPLEMENTATIONS = ('threefry2x32', 'rbg', 'unsafe_rbg')  # of random keys


class Leaf(NamedTuple):
    shape: tuple[int, ...]
    dtype: str


def describe(leaf) -> list:
    """[dtype, shape] as JSON; the dtype of a typed key names its implementation."""
    return [str(leaf.dtype), list(leaf.shape)]


def nbytes(leaf) -> int:
    """What it takes on the disk, uncompressed."""
    size = math.prod(leaf.shape)
    return 16 * size if _is_key(leaf.dtype) else size * np.dtype(leaf.dtype).itemsize


def save_args(leaves):
    """Leaves by path, as what Orbax's `save` takes."""
    import orbax.checkpoint as ocp

    def plain(leaf):
        return jax.random.key_data(leaf) if _is_key(leaf.dtype) else jnp.asarray(leaf)

    full = {_item(path): plain(x) for path, x in leaves.items() if math.prod(x.shape)}
    return ocp.args.PyTreeSave(full or {'nothing': jnp.zeros(1)})


def load(folder: Path, wanted: dict, index: dict) -> dict[str, jax.Array]:
    """Path -> leaf, for the paths of `wanted` and with their shardings, in that order."""
    arrays = _arrays(folder, wanted, index)
    return {path: _revive(arrays.get(path), *index[path]) for path in wanted}


def placed(like: PyTree, index: dict, shardings) -> PyTree[jax.ShapeDtypeStruct]:
    """`like` with the shapes that are stored and the shardings that go with them."""
    shapes = paths.map_with_path(
        lambda path, leaf: jax.ShapeDtypeStruct(tuple(index[path][1]), leaf.dtype), like
    )
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, shardings(shapes)
    )


def compatible(folder: Path, wanted: dict, index: dict) -> None:
    """A checkpoint of another structure or other types is of another program: no fall-back."""
    missing, extra = sorted(wanted.keys() - index.keys()), sorted(index.keys() - wanted.keys())
    typed = [
        f'{path} ({index[path][0]} saved, {leaf.dtype} expected)'
        for path, leaf in wanted.items()
        if path in index and str(leaf.dtype) != index[path][0]
    ]
    for what, names in (('lacks', missing), ('also has', extra), ('differs in', typed)):
        if names:
            more = f' and {len(names) - 3} more' if len(names) > 3 else ''
            raise UserError(
                f'{folder} is of another state: it {what} {", ".join(names[:3])}{more}.'
                ' Choose another --workdir'
            )


def _arrays(folder, wanted, index):
    """Path -> array, with the shardings wanted; empty leaves are left out."""
    import orbax.checkpoint as ocp

    asked = {path: leaf for path, leaf in wanted.items() if math.prod(index[path][1])}
    default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    places = {path: getattr(leaf, 'sharding', None) or default for path, leaf in asked.items()}
    # Orbax would read a replicated array once for every device.
    whole = {path for path in places if places[path].is_fully_replicated}
    whole = whole if jax.process_count() == 1 else set()

    def how(path):
        if path in whole:
            return ocp.RestoreArgs(restore_type=np.ndarray)
        return ocp.ArrayRestoreArgs(sharding=places[path])

    if not asked:
        return {}
    args = ocp.args.PyTreeRestore(
        item={_item(path): 0 for path in asked},
        restore_args={_item(path): how(path) for path in asked},
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=True)) as reader:
        found = reader.restore(folder, args=args)
    arrays = {path: found[_item(path)] for path in asked}
    host = {path: np.asarray(arrays[path]) for path in whole}
    # A copy: the state is donated, and must not be memory that numpy still has.
    copies = jax.device_put(host, {path: places[path] for path in whole}, may_alias=False)
    return arrays | copies


def _revive(array, dtype, shape):
    if array is None:
        array = jnp.zeros(shape, 'uint32' if _is_key(dtype) else dtype)
    if _is_key(dtype):
        impls = {str(jax.random.key(0, impl=impl).dtype): impl for impl in IMPLEMENTATIONS}
        return jax.random.wrap_key_data(array, impl=impls[dtype])
    return array


def _item(path):
    return path.replace('%', '%25').replace('/', '%2F')


def _is_key(dtype):
    return str(dtype).startswith('key<')
