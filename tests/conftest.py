"""Every test sees 8 virtual CPU devices, so that no layout goes untested."""

from jaxcv.train import machine

machine.cache()
machine.virtual_devices(8)
