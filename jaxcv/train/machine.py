"""Before the first computation: processes, devices and the compilation cache."""

import os
from pathlib import Path

import jax

from jaxcv.errors import UserError

# What launchers of several processes leave in the environment: (variable, means several).
CLUSTERS = (
    ('SLURM_NTASKS', lambda value: int(value) > 1),
    ('OMPI_COMM_WORLD_SIZE', lambda value: int(value) > 1),
    ('TPU_WORKER_HOSTNAMES', lambda value: ',' in value),
    ('MEGASCALE_NUM_SLICES', lambda value: int(value) > 1),
)


def processes_from(environment) -> tuple[str, int, int]:
    """(coordinator, processes, process) from JAXCV_COORDINATOR, JAXCV_PROCESSES, JAXCV_PROCESS."""
    get = environment.get
    return (
        get('JAXCV_COORDINATOR', ''),
        int(get('JAXCV_PROCESSES', 0)),
        int(get('JAXCV_PROCESS', 0)),
    )


def start(config, coordinator: str = '', processes: int = 0, process: int = 0) -> None:
    """Prepares this process for `config`; call once, before any array exists."""
    cache()
    requested = config.train.cpu_devices
    several = coordinator or processes > 1 or _cluster()
    if requested or not (_devices_given() or several):
        virtual_devices(requested or 2 * cores())
    if not several:
        return
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    if coordinator:
        jax.distributed.initialize(coordinator, processes, process)
    elif processes > 1:
        raise UserError('--processes needs --coordinator=HOST:PORT of process 0')
    else:
        jax.distributed.initialize()  # the cluster says who is who


def primary() -> bool:
    """Whether this process writes and prints."""
    return jax.process_index() == 0


def cores() -> int:
    """CPU cores that this process may use: a worker of a sweep has a share."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def virtual_devices(count: int) -> None:
    """Several devices on a CPU, if the run falls to it. More worker threads than devices are
    needed, or programs with collectives wait for each other forever."""
    os.environ.setdefault('PJRT_NPROC', str(max(2 * count, cores())))
    jax.config.update('jax_num_cpu_devices', count)


def cache() -> None:
    """Compiled programs are kept, readable by this user alone: whoever can write them can run
    code as us. JAX_COMPILATION_CACHE_DIR chooses another place."""
    directory = os.environ.get('JAX_COMPILATION_CACHE_DIR')
    if directory is None:
        home = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache'))
        directory = home / 'jaxcv' / 'xla'
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        except OSError:
            return  # no home to write to: compile every time
    jax.config.update('jax_compilation_cache_dir', str(directory))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)


def _devices_given() -> bool:
    flags = os.environ.get('XLA_FLAGS', '')
    return 'JAX_NUM_CPU_DEVICES' in os.environ or 'host_platform_device_count' in flags


def _cluster() -> bool:
    return any(several(os.environ[name]) for name, several in CLUSTERS if os.environ.get(name))
