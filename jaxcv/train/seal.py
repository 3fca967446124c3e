"""Files that are known to be whole: each one's size and CRC, in a record that is sealed itself."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RECORD = 'record.json'
SEAL = 'record.crc32'
BLOCK = 2**24  # bytes read at a time


def seal(folder: Path, record: Mapping[str, Any]) -> None:
    """Writes `record` into `folder`, with the size and CRC of every file there."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    sums = {str(path.relative_to(folder)): [path.stat().st_size, _crc(path)] for path in files}
    write(folder / RECORD, json.dumps({**record, 'files': sums}))
    write(folder / SEAL, str(_crc(folder / RECORD)))


def opened(folder: Path) -> dict[str, Any]:
    """The record of a sealed folder."""
    return json.loads((folder / RECORD).read_text())


def verify(folder: Path) -> None:
    """Raises OSError, ValueError or KeyError that says what is damaged in a sealed folder."""
    if _crc(folder / RECORD) != int((folder / SEAL).read_text()):
        raise OSError(f'{RECORD} does not match its checksum')
    for name, (size, crc) in opened(folder)['files'].items():
        path = folder / name
        if not path.is_file():
            raise OSError(f'{name} is missing')
        if path.stat().st_size != size:
            raise OSError(f'{name} has {path.stat().st_size} bytes of {size}')
        if _crc(path) != crc:
            raise OSError(f'{name} does not match its checksum')


def write(path: Path, text: str) -> None:
    """Writes a file through to the disk."""
    with open(path, 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _crc(path):
    crc = 0
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
