"""What one measurement is, as data and as a line of a table."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]


def record(
    name: str,
    jaxcv: Mapping[str, float],
    peer: Mapping[str, float] | None,
    peer_name: str,
    detail: Mapping[str, Any] | None = None,
) -> Record:
    """Seconds and ratio are by minimum, which the machine's noise moves least; `detail` holds both
    sides' minimum and median, and the versions. `peer` is None when the peer is not installed."""
    import jax

    device = jax.devices()[0]
    return {
        'name': name,
        'jaxcv': jaxcv['min'],
        'peer': peer['min'] if peer else None,
        'peer_name': peer_name,
        'ratio': jaxcv['min'] / peer['min'] if peer else None,
        'device': f'{jax.device_count()} x {device.device_kind}',
        'detail': {
            'jaxcv': dict(jaxcv),
            'peer': dict(peer) if peer else None,
            'versions': versions('jax', 'jaxlib', 'flax', 'torch'),
            **(detail or {}),
        },
    }


def versions(*packages: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def table(records: list[Record]) -> str:
    """Records as aligned columns, times in milliseconds."""
    rows = [('name', 'jaxcv ms', 'peer ms', 'ratio', 'peer', 'device')]
    for r in records:
        peer = '-' if r['peer'] is None else f'{r["peer"] * 1e3:.2f}'
        ratio = '-' if r['ratio'] is None else f'{r["ratio"]:.3f}'
        rows.append(
            (r['name'], f'{r["jaxcv"] * 1e3:.2f}', peer, ratio, r['peer_name'], r['device'])
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ('  '.join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return '\n'.join(lines)
