"""A data set is random access to examples: dicts of numpy arrays, images as uint8 [h w c]."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jaxcv.errors import UserError

Example = dict[str, np.ndarray]
HELD_BYTES = 512 * 2**20  # what may be kept decoded in memory


class Source(Protocol):
    """Random access; safe to call from several threads."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Example: ...


@dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    Examples hold `image` (uint8 [h w c]) and mostly `label` (int32 scalar) and whatever else the
    set has (boxes, masks, captions). `classes` names the labels, or is empty.
    """

    name: str
    source: Source
    classes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        return self.source[index]


@dataclass(frozen=True)
class ArraySource:
    """Examples that are rows of arrays."""

    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> Example:
        return {name: array[index] for name, array in self.arrays.items()}


@dataclass(frozen=True)
class ChosenSource:
    """Some of the examples."""

    source: Source
    rows: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return self.source[self.rows[index]]


@dataclass(frozen=True)
class MappedSource:
    """Every example passed through a function as it is read."""

    source: Source
    function: Callable[[Example], Example]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        return self.function(self.source[index])


def spread(length: int, count: int) -> list[int]:
    """`count` rows of so many, evenly, for data in order of its classes; 0: all."""
    count = min(count, length) if count else length
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def some(dataset: Dataset, count: int) -> Dataset:
    """`count` examples, evenly spread; 0: all."""
    rows = spread(len(dataset), count)
    if len(rows) == len(dataset):
        return dataset
    return Dataset(dataset.name, ChosenSource(dataset.source, rows), dataset.classes)


def arrays(dataset: Dataset | Mapping[str, np.ndarray], threads: int = 4) -> Example:
    """The whole data set, decoded: one host array per field, the sample axis first.

    Arrays pass through. Fields whose shape differs between examples raise a `UserError`.
    """
    if not isinstance(dataset, Dataset):
        return _consistent(dict(dataset))
    if isinstance(dataset.source, ArraySource):
        return _consistent(dict(dataset.source.arrays))
    if not len(dataset):
        raise UserError(f'data set {dataset.name!r} is empty')
    first = dataset[0]
    stacked = {
        name: np.empty((len(dataset), *value.shape), value.dtype)
        for name, value in first.items()
        if is_numeric(value)
    }
    texts = {name: [None] * len(dataset) for name in first if name not in stacked}

    def read(start):
        for index in range(start, len(dataset), threads):
            example = dataset[index]
            for name, out in stacked.items():
                require_shape(dataset, name, example[name], out.shape[1:])
                out[index] = example[name]
            for name, out in texts.items():
                out[index] = example[name]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, range(threads)))
    stacked.update((name, np.asarray(values)) for name, values in texts.items())
    return {name: stacked[name] for name in first}


def stack(dataset: Dataset, examples: Sequence[Example]) -> Example:
    """Examples as one batch; fields must have one shape."""
    for name, value in examples[0].items():
        for other in examples:
            require_shape(dataset, name, other[name], value.shape)
    return {name: np.stack([other[name] for other in examples]) for name in examples[0]}


def require_shape(dataset: Dataset, name: str, value: np.ndarray, shape: tuple[int, ...]) -> None:
    """Only fields of one shape can be stacked into a batch."""
    if value.shape != shape:
        hint = '; set image_size to resize' if name == 'image' else ''
        raise UserError(
            f'data set {dataset.name!r}: {name!r} is {list(value.shape)} in one example and '
            f'{list(shape)} in another, but batches need one shape{hint}'
        )


def is_numeric(value: np.ndarray) -> bool:
    """Whether a device can hold it (strings it cannot)."""
    return np.asarray(value).dtype.kind in 'biufc'


def numeric(example: Mapping[str, np.ndarray]) -> Example:
    """The fields that a device can hold."""
    return {name: value for name, value in example.items() if is_numeric(value)}


def nbytes(dataset: Dataset | Mapping[str, np.ndarray]) -> int:
    """Decoded size, judged by the first example."""
    if not isinstance(dataset, Dataset):
        return sum(array.nbytes for array in dataset.values())
    if not len(dataset):
        raise UserError(f'data set {dataset.name!r} is empty')
    return len(dataset) * sum(np.asarray(value).nbytes for value in dataset[0].values())


def _consistent(stacked: Example) -> Example:
    lengths = {name: len(array) for name, array in stacked.items()}
    if not lengths or 0 in lengths.values() or len(set(lengths.values())) > 1:
        raise UserError(f'arrays must be equally many samples, at least one, but are {lengths}')
    return stacked
