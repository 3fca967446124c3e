"""PLY files: elements (vertices, faces) of scalar and list properties, as structured arrays.

A scalar property is a field of the array. A list property whose lists are all of one length k, such
as the corners of triangles, is a field of shape [k]; otherwise the field has dtype object and holds
one array a row. The format: Turk 1994, "The PLY polygon file format".
"""

import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxcv.errors import UserError

TYPES = {
    'char': 'i1',
    'uchar': 'u1',
    'short': 'i2',
    'ushort': 'u2',
    'int': 'i4',
    'uint': 'u4',
    'float': 'f4',
    'double': 'f8',
}
NAMES = {code: name for name, code in TYPES.items()}
TYPES |= {np.dtype(code).name: code for code in NAMES}  # int8 to float64
ORDERS = {'binary_little_endian': '<', 'binary_big_endian': '>', 'ascii': '<'}
_HEADER = re.compile(rb'ply\r?\n(.*?\n)?end_header\r?\n', re.DOTALL)


class _Property(NamedTuple):
    name: str
    kind: str  # 'f4'
    counts: str | None  # kind of a list's length; None for a scalar


class _Element(NamedTuple):
    name: str
    rows: int
    properties: list[_Property]


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The elements of a file by name and in its order, each a structured array [rows]."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error}') from error
    match = _HEADER.match(memoryview(data))
    if match is None:
        raise UserError(f'{path} is no PLY file: it does not begin with ply ... end_header')
    form, elements = _header(path, (match[1] or b'').decode('latin-1').splitlines())
    body, spelled = data[match.end() :], form == 'ascii'
    if spelled:
        body = _numbers(path, body)
    found = {}
    for element in elements:
        # The numbers of an ascii file have become a binary file of doubles.
        stored = {kind: '<f8' if spelled else ORDERS[form] + kind for kind in NAMES}
        try:
            found[element.name], size = _rows(element, body, stored)
        except (struct.error, ValueError, OverflowError) as error:
            raise UserError(
                f'{path} is truncated or damaged: its {element.rows} rows of {element.name} '
                f'do not fit into the {len(body)} bytes that are left for them'
            ) from error
        body = body[size:]
    return found


def write(path: str | Path, elements: Mapping[str, np.ndarray]) -> None:
    """Writes what `read` reads, binary little-endian: structured arrays [rows] by name, fields of
    shape [k] as lists. Lists of uneven lengths are not written."""
    header, bodies = ['ply', 'format binary_little_endian 1.0'], []
    for name, rows in elements.items():
        header.append(f'element {name} {len(rows)}')
        fields = {}
        for field in rows.dtype.names:
            dtype, shape = rows.dtype[field].base, rows.dtype[field].shape
            kind = dtype.str[1:]
            if kind not in NAMES or len(shape) > 1:
                raise UserError(
                    f'{path}: {field} of {name} is {rows.dtype[field]}, but a property is one of '
                    f'{", ".join(np.dtype(kind).name for kind in NAMES)} or a list of one length'
                )
            listed = ''
            if shape:
                counts = 'u1' if shape[0] < 256 else 'u4'
                fields[f'count {field}'] = f'<{counts}', (), shape[0]
                listed = f'list {NAMES[counts]} '
            fields[field] = f'<{kind}', shape, rows[field]
            header.append(f'property {listed}{NAMES[kind]} {field}')
        layout = np.dtype([(field, *known[:2]) for field, known in fields.items()])
        if layout != rows.dtype:
            packed = np.empty(len(rows), layout)
            for field, (_, _, values) in fields.items():
                packed[field] = values
            rows = packed
        bodies.append(rows)
    with open(path, 'wb') as file:
        file.write('\n'.join([*header, 'end_header', '']).encode())
        for body in bodies:
            body.tofile(file)


def _header(path, lines):
    """The format's name and the elements."""
    form, elements = None, []
    for line in lines:
        match line.split():
            case [] | ['comment' | 'obj_info', *_]:
                pass
            case ['format', name, '1.0'] if name in ORDERS and form is None:
                form = name
            case ['element', name, rows] if rows.isdecimal():
                elements.append(_Element(name, int(rows), []))
            case ['property', 'list', counts, kind, name] if elements:
                counts, kind = _type(path, line, counts), _type(path, line, kind)
                elements[-1].properties.append(_Property(name, kind, counts))
            case ['property', kind, name] if elements:
                elements[-1].properties.append(_Property(name, _type(path, line, kind), None))
            case _:
                raise UserError(f'{path} has the header line {line!r}, which is not PLY 1.0')
    if form is None:
        raise UserError(f'{path} has no format in its header; expected one of {", ".join(ORDERS)}')
    for names in [[e.name for e in elements], *([p.name for p in e.properties] for e in elements)]:
        if len(set(names)) < len(names):
            raise UserError(f'{path} has a name twice in its header, among {", ".join(names)}')
    return form, elements


def _type(path, line, name):
    if name not in TYPES:
        raise UserError(
            f'{path} has the header line {line!r}, but a type must be one of {", ".join(TYPES)}'
        )
    return TYPES[name]


def _numbers(path, text):
    """All numbers of an ascii body, as the bytes of doubles."""
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)  # numpy's answer to what is no number
        try:
            return np.fromstring(text.tobytes(), np.float64, sep=' ').view(np.uint8)
        except (ValueError, DeprecationWarning) as error:
            raise UserError(f'{path} has something in its ascii body that is no number') from error


def _rows(element, body, stored):
    """The rows of an element, which begins where `body` does, and the bytes that they take."""
    final = [(p.name, p.kind) for p in element.properties]
    if not (element.rows and final):
        return np.zeros(element.rows, final), 0
    # Mostly, all lists are as long as those of the first row.
    first, _ = _places(_steps(element, stored), body, 0)
    layout, lengths = [], {}
    for i, (name, kind, counts) in enumerate(element.properties):
        shape = ()
        if counts:
            shape = (first[i][1],)
            lengths[f'count {i}'] = first[i][1]
            layout.append((f'count {i}', stored[counts]))
        layout.append((name, stored[kind], shape))
        final[i] = name, kind, shape
    size = element.rows * np.dtype(layout).itemsize
    if size <= len(body):
        rows = body[:size].view(layout)
        if all((rows[name] == length).all() for name, length in lengths.items()):
            return _columns(rows, np.dtype(final)), size
    elif not lengths:
        raise ValueError
    return _uneven(element, body, stored)


def _columns(rows, dtype):
    if rows.dtype == dtype:
        return rows
    found = np.empty(len(rows), dtype)
    for name in dtype.names:
        found[name] = rows[name]
    return found


def _uneven(element, body, stored):
    """Row by row: only where a list ends does the next one begin."""
    if element.rows > len(body):  # a row takes a byte at least
        raise ValueError
    fields = [(p.name, object if p.counts else p.kind) for p in element.properties]
    found, steps, end = np.empty(element.rows, fields), _steps(element, stored), 0
    places = []
    for _ in range(element.rows):
        row, end = _places(steps, body, end)
        places.append(row)
    places = np.array(places)
    for i, (name, kind, counts) in enumerate(element.properties):
        lengths = places[:, i, 1]
        size = lengths * np.dtype(stored[kind]).itemsize
        gaps = places[:, i, 0] - np.cumsum(size) + size
        taken = body[np.repeat(gaps, size) + np.arange(size.sum())]
        values = taken.view(stored[kind]).astype(kind)
        if not counts:
            found[name] = values
            continue
        into, ends = found[name], np.cumsum(lengths)
        for row, (first, last) in enumerate(zip(ends - lengths, ends, strict=True)):
            into[row] = values[first:last]
    return found, end


def _steps(element, stored):
    """What to know of each property to find its end."""
    steps = []
    for _, kind, counts in element.properties:
        if counts:
            code = stored[counts]
            read = struct.Struct(code[0] + np.dtype(code).char).unpack_from
            steps.append((read, np.dtype(code).itemsize, np.dtype(stored[kind]).itemsize))
        else:
            steps.append((None, 0, np.dtype(stored[kind]).itemsize))
    return steps


def _places(steps, body, start):
    """Where the properties of a row are, (first byte, count of numbers) each, and where it ends."""
    places = []
    for read, before, size in steps:
        length = 1 if read is None else int(read(body, start)[0])
        start += before
        places.append((start, length))
        start += length * size
        if length < 0 or start > len(body):
            raise ValueError
    return places, start
