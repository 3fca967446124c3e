"""A store: examples that were computed once, as records of fixed shape that are read at random.

    store/info.json                   what it holds; a folder without it was never finished
    store/train-00000.array_record    examples, in the order in which they were written

A record is the bytes of the fields of an example, one after the other.
"""

import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from jaxcv.data.dataset import Dataset, Example, is_numeric
from jaxcv.errors import UserError, choose

INFO = 'info.json'
FORMAT = 1
SHARD = 256 * 2**20  # bytes of records in a file
# One record to a chunk, which has a checksum of its own; latents hardly compress.
OPTIONS = 'group_size:1,uncompressed'


@dataclass(frozen=True)
class Field:
    """What every example holds under a name."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return np.dtype(self.dtype).itemsize * math.prod(self.shape)


@dataclass(frozen=True)
class Info:
    """What a store says of itself. `files` gives the size in bytes of each file of a split."""

    source: str  # the data set from which it was computed
    classes: tuple[str, ...]
    fingerprint: str  # of what computed it
    fields: dict[str, Field]
    lengths: dict[str, int]
    files: dict[str, dict[str, int]]

    @property
    def nbytes(self) -> int:
        return sum(sum(sizes.values()) for sizes in self.files.values())


def write(
    path: Path,
    splits: Mapping[str, Iterable[Mapping[str, np.ndarray]]],
    *,
    source: str,
    classes: tuple[str, ...] = (),
    fingerprint: str = '',
    shard: int = SHARD,
) -> Info:
    """Writes the batches (named arrays [n ...]) of each split, and says what was written.

    The store appears under its name when all of it is on the disk, or not at all.
    """
    path = Path(path)
    if path.exists():
        raise UserError(f'{path} exists already: choose another folder, or delete it')
    draft = path.with_name(f'.{path.name}.{os.getpid()}.writing')
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        fields, lengths, files = {}, {}, {}
        for split, batches in splits.items():
            writer = _Writer(draft, split, fields, shard)
            for batch in batches:
                writer.add(batch)
            lengths[split], files[split] = writer.count, writer.close()
            if not writer.count:
                raise UserError(f'split {split!r} has no examples to write')
        info = Info(source, tuple(classes), fingerprint, fields, lengths, files)
        (draft / INFO).write_text(json.dumps({'format': FORMAT, **asdict(info)}, indent=1))
        for file in [*draft.iterdir(), draft]:
            _sync(file)
        draft.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error.strerror or error}') from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return info


def read(path: Path, split: str) -> Dataset:
    """A split of the store in the folder `path`."""
    found = info(path)
    choose(split, found.lengths, f'split of {path}')
    files = found.files[split]
    for name, size in files.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != size:
            there = f'has {file.stat().st_size} bytes of {size}' if file.is_file() else 'is missing'
            raise UserError(f'{file} {there}: delete {path} and encode again')
    records = Records(tuple(path / name for name in files), found.lengths[split], found.fields)
    return Dataset(found.source, records, found.classes)


def info(path: Path) -> Info:
    """What the store in the folder `path` holds."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(f'no folder {path} (data.path)')
    try:
        found = json.loads((path / INFO).read_text())
    except FileNotFoundError:
        raise UserError(f'{path} is no finished store of encoded data: it has no {INFO}') from None
    except (OSError, ValueError) as error:
        raise UserError(f'{path / INFO} cannot be read: {error}') from None
    if not isinstance(found, dict) or found.pop('format', None) != FORMAT:
        raise UserError(f'{path / INFO} is not of format {FORMAT}: encode again')
    try:
        fields = {name: Field(x['dtype'], tuple(x['shape'])) for name, x in found['fields'].items()}
        return Info(**found | {'fields': fields, 'classes': tuple(found['classes'])})
    except (AttributeError, KeyError, TypeError):
        raise UserError(f'{path / INFO} is damaged: encode again') from None


def require(path: Path, fingerprint: str) -> None:
    """Refuses a store that something else has computed."""
    found = info(path).fingerprint
    if found != fingerprint:
        raise UserError(
            f'{path} was encoded by {found or "no one knows what"}, but {fingerprint} is needed: '
            'encode again'
        )


@dataclass(frozen=True)
class Records:
    """The examples of a split."""

    files: tuple[Path, ...]
    count: int
    fields: Mapping[str, Field]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < self.count:
            raise IndexError(f'example {index} of {self.count}')
        try:
            record = self._reader[index]
        except (RuntimeError, ValueError) as error:  # a checksum, or a file that is none
            raise self._damaged(index, str(error).splitlines()[0]) from None
        if len(record) != self._nbytes:
            raise self._damaged(index, f'{len(record)} bytes of {self._nbytes}')
        example, start = {}, 0
        for name, field in self.fields.items():
            values = np.frombuffer(record, field.dtype, math.prod(field.shape), start)
            example[name], start = values.reshape(field.shape), start + field.nbytes
        return example

    @cached_property
    def _nbytes(self):
        return sum(field.nbytes for field in self.fields.values())

    @cached_property
    def _reader(self):
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        return ArrayRecordDataSource([str(file) for file in self.files])

    def _damaged(self, index, reason):
        folder = self.files[0].parent
        return UserError(
            f'example {index} of {folder} is damaged ({reason}): delete it and encode again'
        )


class _Writer:
    """Writes the files of a split; `fields` is what the first batch of the store has."""

    def __init__(self, folder: Path, split: str, fields: dict[str, Field], shard: int):
        self.folder, self.split, self.fields, self.shard = folder, split, fields, shard
        self.count, self.files, self.file, self.room = 0, [], None, 0

    def add(self, batch: Mapping[str, np.ndarray]) -> None:
        batch = {name: np.asarray(values) for name, values in batch.items()}
        self._check(batch)
        rows = [_bytes(batch[name]) for name in self.fields]
        for parts in zip(*rows, strict=True):
            self._record(b''.join(parts))

    def close(self) -> dict[str, int]:
        """The size of every file."""
        self._close()
        return {file.name: file.stat().st_size for file in self.files}

    def _check(self, batch):
        for name, values in batch.items():
            if not is_numeric(values):
                raise UserError(f'field {name!r} is {values.dtype}; only numbers are stored')
        found = {name: Field(x.dtype.name, x.shape[1:]) for name, x in batch.items()}
        if not self.fields:
            self.fields.update(found)
        if found != self.fields:
            raise UserError(f'a batch has {_told(found)}, where others have {_told(self.fields)}')
        if len({len(values) for values in batch.values()}) > 1:
            raise UserError('the fields of a batch must have equally many rows')

    def _record(self, record):
        from array_record.python.array_record_module import ArrayRecordWriter

        if self.room < len(record):
            self._close()
            self.files.append(self.folder / f'{self.split}-{len(self.files):05d}.array_record')
            self.file, self.room = ArrayRecordWriter(str(self.files[-1]), OPTIONS), self.shard
        self.file.write(record)
        self.room -= len(record)
        self.count += 1

    def _close(self):
        if self.file is not None:
            self.file.close()
            self.file = None


def _bytes(rows: np.ndarray) -> list[bytes]:
    """Each row's, with the smallest byte first."""
    rows = np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder('<'), copy=False))
    return [row.tobytes() for row in rows]


def _told(fields):
    return ', '.join(f'{name} {field.dtype}{list(field.shape)}' for name, field in fields.items())


def _sync(path: Path) -> None:
    """Onto the disk: a file, or the names in a folder."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
