"""Quantizers by name, as a config gives them."""

from collections.abc import Callable, Mapping

from jaxcv.errors import choose, construct
from jaxcv.tokens.ema import EMA
from jaxcv.tokens.gumbel import Gumbel
from jaxcv.tokens.lookup_free import LookupFree
from jaxcv.tokens.multiscale import Multiscale
from jaxcv.tokens.quantized import Quantizer
from jaxcv.tokens.residual import Residual
from jaxcv.tokens.scalar import Scalar
from jaxcv.tokens.vq import VQ

QUANTIZERS: Mapping[str, Callable[..., Quantizer]] = {
    'vq': VQ,
    'ema': EMA,
    'gumbel': Gumbel,
    'residual': Residual,
    'multiscale': Multiscale,
    'fsq': Scalar,
    'lfq': LookupFree,
}


def quantizer(name: str, **fields) -> Quantizer:
    """By name, with the fields of its class: quantizer('ema', codes=512, decay=0.9).

    One that is made of others takes theirs as a mapping with a name:
    quantizer('residual', depth=4, inner={'name': 'ema', 'codes': 512}).
    """
    function = QUANTIZERS[choose(name, QUANTIZERS, 'the quantizer')]
    if isinstance(fields.get('inner'), Mapping):
        fields['inner'] = quantizer(**fields['inner'])
    return construct(function, fields, f'quantizer {name!r}')
