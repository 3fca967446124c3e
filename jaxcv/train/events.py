"""TensorBoard event files, without TensorFlow.

Not by tensorboardX, whose import takes two seconds where torch is installed and whose events wait
in a queue, from where a crash loses them.

Each record is framed as TFRecord: length, its checksum, data, its checksum. The data is a protocol
buffer `Event {wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7}`.
"""

import math
import re
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from jaxcv.viz.files import size

PREFIX = 'events.out.tfevents.'
CASTAGNOLI = 0x82F63B78  # CRC-32C, reflected
RGB = 3


class Events:
    """Appends scalars and pictures to a new file in `folder`. What older files there say of steps
    after `step` is thereby void."""

    def __init__(self, folder: Path, step: int):
        folder.mkdir(parents=True, exist_ok=True)
        # In the order of time, which is how they are read.
        path = folder / f'{PREFIX}{time.time():.6f}'
        self.file = open(path, 'wb')  # noqa: SIM115 (closed by `close`)
        start = _bytes(7, _int(1, 1))  # a session starts at this step
        self._write(_double(1, time.time()) + _bytes(3, b'brain.Event:2'))
        self._write(_double(1, time.time()) + _int(2, step + 1) + start)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Scalars by tag. They are in the file when this returns."""
        values = b''.join(
            _bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in scalars.items()
        )
        self._write(_double(1, time.time()) + _int(2, step) + _bytes(5, values))

    def picture(self, step: int, tag: str, data: bytes) -> None:
        """A PNG or GIF file; `Image {height = 1, width = 2, colorspace = 3, data = 4}`."""
        width, height = size(data)
        image = _int(1, height) + _int(2, width) + _int(3, RGB) + _bytes(4, data)
        value = _bytes(1, _bytes(1, tag.encode()) + _bytes(4, image))
        self._write(_double(1, time.time()) + _int(2, step) + _bytes(5, value))

    def close(self) -> None:
        self.file.close()

    def _write(self, data):
        length = struct.pack('<Q', len(data))
        self.file.write(length + _checksum(length) + data + _checksum(data))
        self.file.flush()


def starts(folder: Path) -> list[float]:
    """When each session that wrote to `folder` began, in seconds, in order."""
    names = (path.name.removeprefix(PREFIX) for path in folder.glob(f'{PREFIX}*'))
    return sorted(float(name) for name in names if re.fullmatch(r'\d+\.\d+', name))


def _int(field, value):
    return _varint(field << 3) + _varint(value)


def _double(field, value):
    return _varint(field << 3 | 1) + struct.pack('<d', value)


def _bytes(field, value):
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _float(field, value):
    if not abs(value) < 3.4e38:  # beyond float32
        value = value if math.isnan(value) else math.copysign(math.inf, value)
    return _varint(field << 3 | 5) + struct.pack('<f', value)


def _varint(value):
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (CASTAGNOLI if value & 1 else 0)
        table.append(value)
    return table


TABLE = _table()


def _checksum(data):
    """CRC-32C, rotated and shifted as TFRecord wants it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack('<I', masked)
