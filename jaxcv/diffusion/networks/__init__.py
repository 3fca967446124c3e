"""Networks that predict from a noisy image, a time and a condition."""

from flax import linen

from jaxcv.diffusion.networks.condition import Condition
from jaxcv.diffusion.networks.dit import SIZES, DiT
from jaxcv.diffusion.networks.time import sinusoidal
from jaxcv.diffusion.networks.unet import UNet
from jaxcv.errors import UserError, choose, construct

NETWORKS = {'unet': UNet, 'dit': DiT}


def network(name: str, *, size: str = '', **fields) -> linen.Module:
    """By name, with the fields of its module, on top of those of a published `size` of DiT."""
    module = NETWORKS[choose(name, NETWORKS, 'config.model.name')]
    if size and module is not DiT:
        raise UserError(f'config.model.size is {size!r}, but only dit has sizes')
    given = SIZES[choose(size, SIZES, 'config.model.size')] if size else {}
    return construct(module, {**given, **fields}, 'config.model')


__all__ = ['SIZES', 'Condition', 'DiT', 'UNet', 'network', 'sinusoidal']
