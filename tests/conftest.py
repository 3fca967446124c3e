"""Every test sees 8 virtual CPU devices, so that no layout goes untested. Tests compile much and
compute little: XLA leaves most optimizations out, but for those that ask to be `optimized`."""

import os

import jax
import jaxlib
import pytest

from jaxcv.train import machine

if jaxlib.__version__.startswith('0.10.'):  # others may not know it, and end the process
    # A third of the time that compiling for a CPU takes, for 4% of speed.
    flag = '--xla_cpu_use_fusion_emitters=false'
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flag}'

machine.cache()
machine.virtual_devices(8)
jax.config.update('jax_disable_most_optimizations', True)


@pytest.fixture(scope='module', autouse=True)
def released():
    """Compiled programs are dropped with their module: one process cannot map all of them."""
    yield
    jax.clear_caches()


@pytest.fixture
def optimized():
    """For those that compute much."""
    jax.config.update('jax_disable_most_optimizations', False)
    yield
    jax.config.update('jax_disable_most_optimizations', True)
