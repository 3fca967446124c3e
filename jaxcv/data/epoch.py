"""One ordered pass over a data set, for evaluation."""

from collections.abc import Iterator, Mapping

import numpy as np

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
from jaxcv.errors import UserError


def epoch(
    dataset: Dataset | Mapping[str, np.ndarray],
    batch_size: int,
) -> Iterator[Example]:
    """Every sample once, in order, texts left out.

    The last batch is filled up with zeros: all have `batch_size` samples and a field `valid`,
    bool [b], that is False for the filling.
    """
    if batch_size < 1:
        raise UserError(f'batch_size is {batch_size}, but must be at least 1')
    return _pass(decoded(dataset), batch_size)


def decoded(dataset: Dataset | Mapping[str, np.ndarray]) -> Dataset:
    """With its numbers in memory, if they take at most 512 MB."""
    if not isinstance(dataset, Dataset):
        dataset = Dataset('arrays', ArraySource(arrays(dataset)))
    if isinstance(dataset.source, ArraySource) or nbytes(dataset) <= HELD_BYTES:
        return Dataset(dataset.name, ArraySource(numeric(arrays(dataset))), dataset.classes)
    return dataset


def first(dataset: Dataset, count: int) -> Example:
    """The first samples, at most `count`, as one batch."""
    rows = [numeric(dataset[i]) for i in range(min(count, len(dataset)))]
    return stack(dataset, rows) | {'valid': np.ones(len(rows), bool)}


def _pass(dataset, batch_size):
    for start in range(0, len(dataset), batch_size):
        count = min(batch_size, len(dataset) - start)
        if isinstance(dataset.source, ArraySource):
            rows = {k: v[start : start + count] for k, v in dataset.source.arrays.items()}
        else:
            rows = stack(dataset, [numeric(dataset[start + i]) for i in range(count)])
        batch = {name: _fill(value, batch_size) for name, value in rows.items()}
        yield batch | {'valid': np.arange(batch_size) < count}


def _fill(rows, batch_size):
    missing = batch_size - len(rows)
    return np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) if missing else rows
