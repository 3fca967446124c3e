"""A machine divided among workers: cores, and one GPU each."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Slot:
    """The part of the machine that one worker has."""

    cores: frozenset[int] = frozenset()  # empty: all
    variables: tuple[tuple[str, str], ...] = ()


def slots(count: int = 0, environment: Mapping[str, str] = os.environ) -> list[Slot]:
    """The machine divided among `count` workers. By default there is one for each GPU, which sees
    no other; one if there is a TPU; or one for each two CPU cores, of which it has a share."""
    gpus = _gpus(environment)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []
    count = count or len(gpus) or (1 if _tpu() else max(1, (os.cpu_count() or 1) // 2))
    shares = [frozenset(_share(cores, i, count)) for i in range(count)]
    if not gpus:
        return [Slot(share) for share in shares]
    found = []
    for i in range(count):
        variables = [('CUDA_VISIBLE_DEVICES', gpus[i % len(gpus)])]
        if count > len(gpus):  # JAX takes three quarters of a GPU's memory unless told
            part = 0.9 / -(-count // len(gpus))
            variables.append(('XLA_PYTHON_CLIENT_MEM_FRACTION', f'{part:.2f}'))
        found.append(Slot(shares[i], tuple(variables)))
    return found


@contextlib.contextmanager
def bound_to(cores):
    """What is started inside runs on these cores. XLA makes its threads accordingly."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _share(cores, i, count):
    if count > len(cores):
        return cores[i % len(cores) :][:1] if cores else []
    return cores[i * len(cores) // count : (i + 1) * len(cores) // count]


def _gpus(environment) -> list[str]:
    """Names of the GPUs that JAX would use."""
    platforms = environment.get('JAX_PLATFORMS', '')
    if platforms and not {'cuda', 'gpu'} & set(platforms.split(',')):
        return []
    if 'CUDA_VISIBLE_DEVICES' in environment:
        return [name for name in environment['CUDA_VISIBLE_DEVICES'].split(',') if name.strip()]
    return sorted(path.name.removeprefix('nvidia') for path in Path('/dev').glob('nvidia[0-9]*'))


def _tpu() -> bool:
    """A TPU serves one process at a time."""
    return any(Path('/dev').glob('accel[0-9]*')) or any(Path('/dev').glob('vfio/[0-9]*'))
