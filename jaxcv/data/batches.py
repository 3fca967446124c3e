"""The two ways in which a run gets its batches.

`Held`: small data lives on the device and a pure function draws from it inside the step.
`Stream`: the host reads, decodes and stacks; the engine moves batches to the devices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Array, Int, Key, PyTree

Batch = PyTree[Array]  # every leaf has the sample axis first


@dataclass(frozen=True)
class Held:
    """Data on the device.

    `sample(arrays, key, step, slots)` gives the samples at positions `slots` (int32, [b]) of the
    global batch of number `step` (int32 scalar, from 0). It is jitted as part of the step and is
    pure: the same arguments give the same samples, so the position in the data is just the step.
    `key` (scalar) is the run's data key, the same at every step.
    """

    arrays: PyTree  # host arrays with the sample axis first; the engine moves them to the devices
    sample: Callable[[PyTree, Key[Array, ''], Int[Array, ''], Int[Array, 'b']], Batch]
    batch_size: int  # global


class BatchIterator(Protocol):
    """What Grain's iterators are: positions can be read and set. The state is JSON, and counts
    global batches, so that it is the same on every process and for any number of them."""

    def __next__(self) -> Batch: ...
    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Stream:
    """Data read by the host.

    `open(seed, process, processes)` starts an endless iterator over this process's contiguous
    share of each global batch, as numpy arrays: process p of P gets samples
    [p * batch_size / P, (p + 1) * batch_size / P) of each global batch. The union over processes
    is the same batch, in the same order, for every P.
    """

    open: Callable[[int, int, int], BatchIterator]
    batch_size: int  # global
