"""What a run ran on: enough to run it again."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax

import jaxcv

PACKAGES = ('jaxcv', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def describe() -> dict[str, Any]:
    """Versions, devices, processes, git state and command, as JSON-able data."""
    devices = jax.devices()
    return {
        'command': _command(),
        'started': time.strftime('%Y-%m-%d %H:%M:%S'),
        'python': platform.python_version(),
        'versions': {name: _version(name) for name in PACKAGES},
        'devices': f'{len(devices)} x {devices[0].device_kind}',
        'platform': devices[0].platform,
        'processes': jax.process_count(),
        'host': f'{platform.machine()}, {os.cpu_count()} cores',
        'git': _git(Path(__file__).parent),
    }


def _command():
    """What was typed, as a shell takes it; empty in a notebook, where nothing was."""
    if 'ipykernel' in sys.modules:
        return ''
    spec = getattr(sys.modules.get('__main__'), '__spec__', None)
    program = ['-m', spec.name.removesuffix('.__main__')] if spec else sys.argv[:1]
    return shlex.join([Path(sys.executable).name, *program, *sys.argv[1:]])


def _version(package):
    if package == 'jaxcv':
        return jaxcv.__version__  # a clone need not be installed
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
