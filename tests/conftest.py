"""Every test sees 8 virtual CPU devices, so that no layout goes untested. Tests compile much and
compute little: XLA leaves most optimizations out, but for those that ask to be `optimized`."""

import os

import jax
import pytest
from compiling import FLAG

from jaxcv.train import machine

# Also for the processes that tests start.
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {FLAG}'
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
