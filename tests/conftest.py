"""Every test sees 8 virtual CPU devices, so that no layout goes untested."""

import jax
import pytest

from jaxcv.train import machine

machine.cache()
machine.virtual_devices(8)


@pytest.fixture(scope='module', autouse=True)
def released():
    """Compiled programs are dropped with their module: one process cannot map all of them."""
    yield
    jax.clear_caches()
