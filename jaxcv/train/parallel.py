"""How the same step runs on many devices.

A layout places the state, feeds batches and compiles the step:

  `Replicated`  `jax.pmap` over all devices; every device holds the whole state.
  `Sharded`     `jit` over a (data, model) mesh; rules by path and FSDP divide the state.

`enter` and `leave` turn the state into what its compiled call carries from step to step, and back.

Outside the step a state is always a tree of global arrays on `layout.mesh`, so that evaluation,
pictures and checkpoints are the same for both.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxcv.data.batches import Held
from jaxcv.errors import UserError
from jaxcv.ops.across import DATA, MODEL
from jaxcv.train import paths
from jaxcv.train.settings import Settings

# (state, source, slots, rest) -> (state, out)
Body = Callable[[Any, Any, Any, Any], tuple[Any, Any]]
# Operations of a step from which it gains from this share of the virtual devices, of which there
# are two per core: 1.5 times from one per core, 2 times from two (convolutions, measured; for
# transformers 1.2 and 1.3).
GAINS = ((8e9, 1.0), (1e9, 0.5))
FSDP_SIZE = 2**12  # smaller leaves are cheaper to keep whole than to gather


class Source(NamedTuple):
    """What a step reads. `held` is replicated, `fed` is divided over its sample axis (axis 1:
    the first axis counts the steps of a call)."""

    held: Any = None
    fed: Any = None


@dataclass(frozen=True)
class Replicated:
    """Data parallelism by `pmap`."""

    devices: tuple
    split: tuple[str, ...] = ()

    @cached_property
    def mesh(self) -> Mesh:
        return Mesh(np.array(self.devices), (DATA,))

    def shardings(self, shapes):
        """The sharding of every leaf of the state outside the step."""
        specs = jax.tree.map(
            lambda divided: PartitionSpec(DATA) if divided else PartitionSpec(),
            paths.mask(self.split, shapes),
        )
        return jax.tree.map(lambda spec: NamedSharding(self.mesh, spec), specs)

    def feed(self, batches):
        """[steps, samples of this process, ...] host arrays -> [devices, steps, samples, ...]."""
        local = len(self.mesh.local_devices)

        def place(x):
            x = np.asarray(x)
            x = x.reshape(x.shape[0], local, x.shape[1] // local, *x.shape[2:]).swapaxes(0, 1)
            spec = NamedSharding(self.mesh, PartitionSpec(DATA))
            return jax.make_array_from_process_local_data(spec, x)

        return jax.tree.map(place, batches)

    def enter(self, state):
        """The state as `compile`'s call carries it: (whole leaves, leaves with a device axis)."""
        whole, divided = _divide(*self._flat(state))
        count = len(self.devices)

        def stack(x):
            shape = (count, x.shape[0] // count, *x.shape[1:])
            sharding = NamedSharding(self.mesh, PartitionSpec(DATA))
            return _reassemble(x, shape, sharding, lambda shard: shard[None])

        return whole, jax.tree.map(stack, divided)

    def leave(self, carry, treedef):
        """The state as global arrays again. The next call donates them."""
        whole, divided = carry
        if jax.process_count() > 1:  # pmap gives each process arrays over its own devices
            everywhere = NamedSharding(self.mesh, PartitionSpec())
            whole = jax.tree.map(lambda x: _reassemble(x, x.shape, everywhere), whole)

        def join(x):
            shape = (len(self.devices) * x.shape[1], *x.shape[2:])
            sharding = NamedSharding(self.mesh, PartitionSpec(DATA))
            return _reassemble(x, shape, sharding, lambda shard: shard[0])

        return jax.tree.unflatten(treedef, _interleave(whole, jax.tree.map(join, divided)))

    def compile(self, body: Body, batch_size: int, shapes):
        """`call(carry, source, rest) -> (carry, out)` for a `body` that sees one device's shard
        of a state like `shapes`. The carry is donated; `out` must be equal on all devices."""
        divide(batch_size, len(self.devices))
        mask = self._flat(shapes)[1]
        treedef = jax.tree.structure(shapes)
        slots = np.arange(batch_size, dtype=np.int32).reshape(len(self.devices), -1)
        slots = _global(slots, NamedSharding(self.mesh, PartitionSpec(DATA)))

        def mapped(carry, source, slots, rest):
            state = jax.tree.unflatten(treedef, _interleave(*carry))
            state, out = body(state, source, slots, rest)
            return _divide(jax.tree.leaves(state), mask), out

        step = jax.pmap(
            mapped,
            DATA,
            in_axes=((None, 0), Source(held=None, fed=0), 0, None),
            out_axes=((None, 0), None),
            donate_argnums=0,
            devices=self.devices if jax.process_count() == 1 else None,
        )
        return lambda carry, source, rest: step(carry, source, slots, rest)

    def _flat(self, state):
        return jax.tree.leaves(state), jax.tree.leaves(paths.mask(self.split, state))


@dataclass(frozen=True)
class Sharded:
    """A (data, model) mesh: rules by path first, then FSDP over the data axis."""

    devices: tuple
    model_devices: int = 1
    fsdp: bool = True
    rules: tuple = ()
    split: tuple[str, ...] = ()

    @cached_property
    def mesh(self) -> Mesh:
        grid = np.array(self.devices).reshape(-1, self.model_devices)
        return Mesh(grid, (DATA, MODEL), axis_types=(AxisType.Auto, AxisType.Auto))

    def shardings(self, shapes):
        """The sharding of every leaf: `split` leaves over data, the first rule that matches the
        path, or with `fsdp` the longest axis that the data devices divide."""
        return paths.map_with_path(
            lambda path, leaf: NamedSharding(self.mesh, self._spec(path, leaf.shape)), shapes
        )

    def _spec(self, path, shape):
        if paths.matches(self.split, path):
            return PartitionSpec(DATA)
        for pattern, axes in self.rules:
            if len(axes) == len(shape) and paths.matches((pattern,), path):
                for axis, length in zip(axes, shape, strict=True):
                    if axis and length % (count := self.mesh.shape[axis]):
                        raise UserError(
                            f'config.train.rules divides {path} {shape} over {count} {axis}'
                            f' devices, which do not divide {length}'
                        )
                return PartitionSpec(*axes)
        count = self.mesh.shape[DATA]
        lengths = [n if n % count == 0 else 0 for n in shape]
        if not self.fsdp or np.prod(shape, dtype=int) < FSDP_SIZE or max(lengths) < count:
            return PartitionSpec()
        longest = lengths.index(max(lengths))
        return PartitionSpec(*(DATA if i == longest else None for i in range(len(shape))))

    def feed(self, batches):
        """[steps, samples of this process, ...] host arrays -> global [steps, batch, ...]."""
        spec = NamedSharding(self.mesh, PartitionSpec(None, DATA))
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(spec, x), batches)

    def enter(self, state):
        return state

    def leave(self, carry, treedef):
        return carry

    def compile(self, body: Body, batch_size: int, shapes):
        """As `Replicated.compile`, for a `body` that sees the whole batch."""
        divide(batch_size, self.mesh.shape[DATA])
        spread = NamedSharding(self.mesh, PartitionSpec(DATA))
        slots = _global(np.arange(batch_size, dtype=np.int32), spread)
        whole = NamedSharding(self.mesh, PartitionSpec())
        step = jax.jit(body, out_shardings=(self.shardings(shapes), whole), donate_argnums=0)

        def call(state, source, rest):
            with jax.set_mesh(self.mesh):
                return step(state, source, slots, rest)

        return call


Layout = Replicated | Sharded


def layout(settings: Settings, split: tuple[str, ...] = (), devices: Sequence | None = None):
    """The layout that `config.train` asks for, over `devices` (default: all)."""
    devices = tuple(devices or jax.devices())
    if settings.parallel == 'pmap':
        return Replicated(devices, split)
    if len(devices) % settings.model_devices:
        raise UserError(
            f'config.train.model_devices is {settings.model_devices},'
            f' which does not divide the {len(devices)} devices'
        )
    return Sharded(devices, settings.model_devices, settings.fsdp, settings.rules, split)


def divide(batch_size: int, count: int) -> None:
    """Refuses a batch that the devices do not divide."""
    if batch_size % count:
        near = sorted({max(1, batch_size // count) * count, -(-batch_size // count) * count})
        raise UserError(
            f'config.train.batch_size is {batch_size}, which {count} devices do not divide;'
            f' the nearest that they do: {" or ".join(map(str, near))}'
        )


def replicate(tree, mesh: Mesh):
    """Host arrays as one copy per device."""
    return jax.tree.map(
        lambda x: _global(np.asarray(x), NamedSharding(mesh, PartitionSpec())), tree
    )


def useful_devices(experiment, settings: Settings) -> tuple:
    """The virtual devices of a CPU that this step gains from; elsewhere, all devices.

    XLA runs one operation at a time, many of them on few threads: so a step gains, if it has more
    to do than to wait for."""
    devices = jax.devices()
    asked = settings.cpu_devices or settings.parallel == 'mesh' or jax.process_count() > 1
    if devices[0].platform != 'cpu' or asked or 'JAX_NUM_CPU_DEVICES' in os.environ:
        return tuple(devices)
    work = _work(experiment)
    most = next((share for least, share in GAINS if work >= least), 0) * len(devices)
    fitting = [n for n in range(1, len(devices) + 1) if settings.batch_size % n == 0 and n <= most]
    return tuple(devices[: max(fitting, default=1)])


def _work(experiment) -> float:
    """Floating-point operations of a step; 0 of those whose batches only their stream knows."""
    if not isinstance(experiment.batches, Held):
        return 0
    batches, key = experiment.batches, jax.eval_shape(lambda: jax.random.key(0))

    def step(state, arrays, key):
        slots = jax.numpy.arange(batches.batch_size)
        return experiment.step(state, batches.sample(arrays, key, 0, slots), key)

    traced = jax.jit(step).trace(jax.eval_shape(experiment.init, key), batches.arrays, key)
    return (traced.lower().cost_analysis() or {}).get('flops', 0)


def _global(x, sharding):
    """A host array that every process holds whole, as one array over all devices."""
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])


def _reassemble(x, shape, sharding, change=lambda shard: shard):
    """The array whose shards are `change` of the shards of `x`, without moving them."""
    shards = [change(shard.data) for shard in x.addressable_shards]
    return jax.make_array_from_single_device_arrays(shape, sharding, shards)


def _divide(leaves, mask):
    """(whole, divided): two lists of the same length, with None where the other has the leaf."""
    whole = [None if divided else leaf for leaf, divided in zip(leaves, mask, strict=True)]
    return whole, [leaf if divided else None for leaf, divided in zip(leaves, mask, strict=True)]


def _interleave(whole, divided):
    return [d if w is None else w for w, d in zip(whole, divided, strict=True)]
