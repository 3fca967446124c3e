"""Quantizers against vector-quantize-pytorch: forward and backward of 65,536 vectors with 64
channels and 1,024 codes."""

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from jaxcv.ops import across
from jaxcv.tokens.quantizers import quantizer

BATCH, SIDE, CODES, WIDTH = 64, 32, 1024, 64


def data():
    """Vectors, the gradient that comes from a decoder, and a codebook."""
    generator = np.random.default_rng(0)
    z, gradient = generator.normal(size=(2, BATCH, SIDE, SIDE, WIDTH)).astype(np.float32)
    return z, gradient, generator.normal(size=(CODES, WIDTH)).astype(np.float32)


def ours(quantize, params, state):
    """(a call for the gradients of params and z and the next state; its memory in bytes)."""
    z, gradient, _ = data()
    devices = jax.device_count()

    def loss(params, z, state, gradient, keys):
        found, state = quantize(params, state, z, keys)
        return (found.values * gradient).sum() + found.loss.mean(), (found.codes, state)

    def step(params, state, z, gradient, key):
        keys = across.keys(key, len(z))
        (to_params, to_z), others = jax.grad(loss, (0, 1), has_aux=True)(
            params, z, state, gradient, keys
        )
        return across.mean(to_params), to_z, others

    axes = None, None, 0, 0, None
    mapped = jax.pmap(step, across.DATA, in_axes=axes)
    shards = (jnp.asarray(x.reshape(devices, -1, *x.shape[1:])) for x in (z, gradient))
    given = params, state, *shards, jax.random.key(0)
    compiled = mapped.lower(*given).compile()
    memory = compiled.memory_analysis()
    extra = devices * (memory.temp_size_in_bytes + memory.output_size_in_bytes)
    return lambda: mapped(*given), extra


def torch_step(**fields):
    """The same on two threads."""
    import torch
    from vector_quantize_pytorch import VectorQuantize

    torch.set_num_threads(2)
    z, gradient, codebook = map(torch.tensor, data())
    z = z.reshape(BATCH, -1, WIDTH).requires_grad_()
    gradient = gradient.reshape(z.shape)
    peer = VectorQuantize(WIDTH, CODES, **fields)
    with torch.no_grad():
        peer.codebook = codebook
    peer.train()

    def step():
        z.grad = None
        peer.zero_grad()
        values, _, loss = peer(z)
        ((values * gradient).sum() + loss).backward()

    return step


def compared(name, quantize, params, state, **fields):
    call, memory = ours(quantize, params, state)
    sides = [call]
    try:
        sides.append(torch_step(**fields))
    except ImportError:
        (here,) = alternate(*sides)
        return record(name, here, None, 'vector-quantize-pytorch')
    here, there = alternate(*sides, repeats=10, warmup=2, pause=0.2)
    detail = {'extra_megabytes': round(memory / 1e6, 1)}
    return record(name, here, there, 'vector-quantize-pytorch, 2 threads', detail)


def vector_quantizer():
    """The codebook a parameter, the gradient straight through."""
    params, state = quantizer('vq', codes=CODES, beta=1.0).init(jax.random.key(0), WIDTH)
    params = {'codebook': jnp.asarray(data()[2])}
    return compared(
        'vector_quantizer', quantizer('vq', codes=CODES, beta=1.0), params, state,
        learnable_codebook=True, ema_update=False, rotation_trick=False,
    )  # fmt: skip


def ema_quantizer():
    """The codebook a moving average, the gradient rotated: the peer's defaults."""
    ema = quantizer('ema', codes=CODES, beta=1.0, decay=0.8, rotation=True)
    params, state = ema.init(jax.random.key(0), WIDTH)
    state = state._replace(codebook=jnp.asarray(data()[2]))
    return compared('ema_quantizer', ema, params, state)


# A device per core. With threads for all, programs with collectives do not wait in vain.
DEVICES = {'JAX_NUM_CPU_DEVICES': '2', 'PJRT_NPROC': '4'}
CASES = [Case(case, DEVICES) for case in (vector_quantizer, ema_quantizer)]
