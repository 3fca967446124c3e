"""Tokens: quantizers against vector-quantize-pytorch, and MaskGIT and VAR against autoregressive
decoding with a cache, all of 256 codes (VAR: 680 in ten scales) and with the same transformer."""

import jax
from jax import numpy as jnp

from benchmarks import quantizers
from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from jaxcv.tokens import autoregressive, maskgit, var
from jaxcv.tokens.multiscale import Multiscale
from jaxcv.tokens.told import Told
from jaxcv.tokens.transformer import Transformer

CODES, CLASSES, LENGTH, STEPS = 1024, 1000, 256, 8
SCALES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
CODE_WIDTH = 32
BODY = {'width': 256, 'depth': 8, 'heads': 8}
# Chang et al. (2022): what the paper calls its transformer for ImageNet.
BASE = {'width': 768, 'depth': 24, 'heads': 12, 'mlp_width': 3072, 'dtype': jnp.bfloat16}
# Dense products in bfloat16 with float32 sums, operations a second, two for a multiply-add.
PEAKS = {'H100': 989e12, 'H200': 989e12, 'A100': 312e12}


def told(batch):
    return Told(jnp.arange(batch) % CLASSES), jax.random.split(jax.random.key(1), batch)


def drawing(module, example, sample, batch):
    """A call that draws `batch` images; the parameters are random, which costs the same."""
    labels, keys = told(batch)
    variables = jax.jit(module.init)(jax.random.key(0), *example(batch), labels)
    run = jax.jit(lambda variables, told, keys: sample(module, variables, told, keys).codes)
    return lambda: run(variables, labels, keys)


def places(batch):
    return jnp.zeros((batch, LENGTH), int)


def autoregressive_drawing(body, batch):
    module = autoregressive.Autoregressive(CODES, Transformer(LENGTH, num_classes=CLASSES, **body))
    return drawing(module, lambda b: (places(b),), autoregressive.sample, batch)


def maskgit_drawing(body, batch):
    module = maskgit.MaskGIT(CODES, Transformer(LENGTH, num_classes=CLASSES, **body))

    def sample(*arguments):
        return maskgit.sample(*arguments, steps=STEPS)

    return drawing(module, lambda b: (places(b), places(b) > 0), sample, batch)


def var_drawing(body, batch):
    length = sum(side**2 for side in SCALES)
    module = var.VAR(CODES, SCALES, Transformer(length, num_classes=CLASSES, **body))
    quantizer = Multiscale(codes=CODES, scales=SCALES)
    pyramid = var.pyramid(quantizer, *quantizer.init(jax.random.key(2), CODE_WIDTH))

    def sample(*arguments):
        return var.sample(*arguments, pyramid=pyramid)

    return drawing(module, lambda b: (jnp.zeros((b, length, CODE_WIDTH)),), sample, batch)


def compared(name, make, batch=1):
    """One image: where the batch is large, the products of autoregressive decoding are, too."""
    sides = make(BODY, batch), autoregressive_drawing(BODY, batch)
    here, there = alternate(*sides, repeats=10, pause=0.2)
    detail = {'times_faster': there['min'] / here['min'], 'batch': batch, **BODY}
    return record(name, here, there, 'autoregressive with a cache', detail)


def maskgit_decoding():
    """8 steps of 256 codes are 8 times the products of 256 steps of one code."""
    return compared('maskgit_decoding', maskgit_drawing)


def var_decoding():
    return compared('var_decoding', var_drawing)


def maskgit_base():
    """24 layers, 768 wide, bfloat16: on a GPU images a second, and the share of its peak."""
    device = jax.devices()[0]
    if device.platform != 'gpu':
        return []
    records = []
    for batch in (1, 64, 256):
        (here,) = alternate(maskgit_drawing(BASE, batch), repeats=10)
        products = BASE['depth'] * (4 * BASE['width'] ** 2 + 2 * BASE['width'] * BASE['mlp_width'])
        products += BASE['depth'] * 2 * (LENGTH + 1) * BASE['width']  # of queries, keys, values
        operations = 2 * batch * STEPS * ((LENGTH + 1) * products + LENGTH * BASE['width'] * CODES)
        peak = next((rate for name, rate in PEAKS.items() if name in device.device_kind), None)
        rate = operations / here['min']
        detail = {
            'images_per_second': batch / here['min'],
            'share_of_peak': rate / peak if peak else None,
            'operations_per_second': rate,
        }
        records.append(record(f'maskgit_base, {batch} images', here, None, '', detail))
    return records


CASES = [
    *quantizers.CASES,
    *(Case(case) for case in (maskgit_decoding, var_decoding, maskgit_base)),
]
