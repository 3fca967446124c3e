"""Layers that several subjects share: linen modules and the functions they call."""

from flax.linen import GroupNorm, InstanceNorm, LayerNorm

from jaxcv.nn.activation import Activation
from jaxcv.nn.conv import Conv, ConvTranspose
from jaxcv.nn.convolve import convolve, convolve_transpose
from jaxcv.nn.cost import cost
from jaxcv.nn.dense import Dense
from jaxcv.nn.norm import BatchNorm, GlobalResponseNorm
from jaxcv.nn.regularize import Dropout, StochasticDepth
from jaxcv.nn.straight_through import straight_through

__all__ = [
    'Activation',
    'BatchNorm',
    'Conv',
    'ConvTranspose',
    'Dense',
    'Dropout',
    'GlobalResponseNorm',
    'GroupNorm',
    'InstanceNorm',
    'LayerNorm',
    'StochasticDepth',
    'convolve',
    'convolve_transpose',
    'cost',
    'straight_through',
]
