"""Data read by the host: shuffled epochs, decoded and stacked by Grain's threads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from jaxcv.data.batches import BatchIterator, Stream
from jaxcv.data.dataset import (
    HELD_BYTES,
    ArraySource,
    Dataset,
    Example,
    arrays,
    nbytes,
    numeric,
    stack,
)
from jaxcv.data.held import Transform, sample_keys
from jaxcv.data.permute import ROUNDS, permute_host
from jaxcv.errors import UserError

ENDLESS = 2**40  # batches


def stream(
    dataset: Dataset | Mapping[str, np.ndarray],
    batch_size: int,
    *,
    example: Callable[[Example, np.random.Generator], Example] | None = None,
    transform: Transform | None = None,
    threads: int | None = None,
    buffer: int = 4,
) -> Stream:
    """Endless shuffled batches, without replacement within an epoch, texts left out.

    `example(example, rng)` runs on the host for each sample (tokenize a caption, crop a large
    image); its rng depends on the seed and on the position in the stream only. `transform(batch,
    keys)` is the jittable one that `held` takes; here it runs on the host's CPU. `threads` read
    `buffer` batches ahead (0: none does, the default for data that fits in memory; else 8).
    """
    if not isinstance(dataset, Dataset):
        dataset = Dataset('arrays', ArraySource(arrays(dataset)))
    if not len(dataset):
        raise UserError(f'data set {dataset.name!r} is empty')
    if batch_size < 1:
        raise UserError(f'batch_size is {batch_size}, but must be at least 1')
    reader = _Reader(dataset, example)
    return Stream(partial(_open, reader, batch_size, transform, threads, buffer), batch_size)


def _open(reader, batch_size, transform, threads, buffer, seed, process, processes):
    import grain

    if batch_size % processes:
        raise UserError(f'batch_size {batch_size} must be divisible by {processes} processes')
    in_memory = reader.held is not None  # decoded here, before any thread asks for it
    if threads is None:
        threads = 0 if in_memory else 8  # indexing is quicker than handing it to a thread
    batches = _Batches(reader, batch_size // processes, batch_size, seed, process, transform)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=buffer if threads else 0)
    return _Iterator(iter(grain.MapDataset.source(batches).to_iter_dataset(options)))


@dataclass(frozen=True)
class _Iterator(BatchIterator):
    """Grain's iterator. Its elements are whole batches, so its position counts global batches."""

    grain: Any

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.grain)

    def get_state(self):
        return self.grain.get_state()

    def set_state(self, state):
        self.grain.set_state(state)

    def close(self):
        """Stops the reading threads; dropping the iterator does it too."""
        self.grain.close()


@dataclass(frozen=True)
class _Reader:
    """Stacks the examples at given indices, each with its own random numbers."""

    dataset: Dataset
    example: Callable[[Example, np.random.Generator], Example] | None

    @cached_property
    def held(self) -> Example | None:
        """Everything decoded once, when it fits in memory: reading a batch is then indexing."""
        if isinstance(self.dataset.source, ArraySource) or nbytes(self.dataset) <= HELD_BYTES:
            return arrays(self.dataset)
        return None

    def read(self, indices: np.ndarray, seeds: np.ndarray) -> Example:
        if self.held is not None and self.example is None:
            return {name: value[indices] for name, value in numeric(self.held).items()}
        examples = [self._one(int(index), seed) for index, seed in zip(indices, seeds, strict=True)]
        return stack(self.dataset, examples)

    def _one(self, index, seed):
        if self.held is None:
            example = self.dataset[index]
        else:
            example = {name: value[index] for name, value in self.held.items()}
        if self.example is not None:
            example = self.example(example, np.random.Generator(np.random.Philox(key=seed)))
        return {name: np.asarray(value) for name, value in numeric(example).items()}


@dataclass(frozen=True)
class _Batches:
    """One process's shares of all global batches, as a random-access source for Grain.

    Sample i of the endless stream is the permuted position i % n of epoch i // n, whatever the
    number of processes, so shares of a global batch are slices of it.
    """

    reader: _Reader
    share: int
    batch_size: int
    seed: int
    process: int
    transform: Transform | None

    def __len__(self) -> int:
        return ENDLESS

    def __repr__(self) -> str:
        return f'batches of {self.reader.dataset.name}'

    def __getitem__(self, step: int) -> Example:
        slots = self.process * self.share + np.arange(self.share)
        positions = step * self.batch_size + slots
        seeds = np.stack([np.full_like(positions, self.seed), positions], axis=1).astype(np.uint64)
        batch = self.reader.read(self._indices(positions), seeds)
        return batch if self._apply is None else self._apply(batch, step % 2**31, slots)

    def _indices(self, positions):
        n = len(self.reader.dataset)
        epochs, within = np.divmod(positions, n)
        indices = np.empty_like(positions)
        for epoch in range(epochs[0], epochs[-1] + 1):
            keys = np.random.SeedSequence([self.seed, epoch]).generate_state(ROUNDS)
            here = epochs == epoch
            indices[here] = permute_host(within[here], n, keys)
        return indices

    @cached_property
    def _apply(self):
        """The jitted transform on the host's CPU, whatever the default device is."""
        if self.transform is None:
            return None

        @jax.jit
        def apply(batch, step, slots):
            return self.transform(batch, sample_keys(jax.random.key(self.seed), step, slots))

        def run(batch, step, slots):
            with jax.default_device(jax.local_devices(backend='cpu')[0]):
                return jax.tree.map(np.asarray, apply(batch, step, slots))

        return run
