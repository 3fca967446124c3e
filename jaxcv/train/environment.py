"""What a run ran on: enough to run it again."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax

PACKAGES = ('jaxcv', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def describe() -> dict[str, Any]:
    """Versions, devices, processes, git state and command, as JSON-able data."""
    devices = jax.devices()
    return {
        'command': ' '.join([Path(sys.executable).name, *sys.argv]),
        'started': time.strftime('%Y-%m-%d %H:%M:%S'),
        'python': platform.python_version(),
        'versions': {name: _version(name) for name in PACKAGES},
        'devices': f'{len(devices)} x {devices[0].device_kind}',
        'platform': devices[0].platform,
        'processes': jax.process_count(),
        'host': f'{platform.machine()}, {os.cpu_count()} cores',
        'git': _git(Path(__file__).parent),
    }


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return 'not installed'


def _git(folder):
    """Commit and whether files differ from it; empty outside a repository."""
    try:
        commit, changed = (
            subprocess.run(['git', *words], cwd=folder, capture_output=True, text=True, timeout=5)
            for words in (['rev-parse', 'HEAD'], ['status', '--porcelain', '-uno'])
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    if commit.returncode:
        return {}
    return {'commit': commit.stdout.strip(), 'changed': bool(changed.stdout.strip())}
