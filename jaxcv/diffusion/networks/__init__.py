"""Networks that predict from a noisy image, a time and a condition."""

from jaxcv.diffusion.networks.condition import Condition
from jaxcv.diffusion.networks.dit import SIZES, DiT
from jaxcv.diffusion.networks.time import sinusoidal
from jaxcv.diffusion.networks.unet import UNet

__all__ = ['SIZES', 'Condition', 'DiT', 'UNet', 'sinusoidal']
