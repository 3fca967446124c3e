"""Training steps of a convolutional net: six 3x3 layers, 64 channels, batch 16 of 32x32."""

import functools

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from jaxcv.nn import convolve

BATCH, SIZE, CHANNELS, LAYERS, STEPS = 16, 32, 64, 6, 5


def network():
    """Kernels and a batch."""
    generator = np.random.default_rng(0)
    kernels = generator.normal(size=(LAYERS, 3, 3, CHANNELS, CHANNELS)) / np.sqrt(9 * CHANNELS)
    x = generator.normal(size=(BATCH, SIZE, SIZE, CHANNELS))
    return [jnp.asarray(k, jnp.float32) for k in kernels], jnp.asarray(x, jnp.float32)


def loss(convolve, kernels, x):
    for kernel in kernels:
        x = jax.nn.relu(convolve(x, kernel))
    return jnp.mean(jnp.square(x))


def lax_convolve(x, kernel):
    layout = ('NHWC', 'HWIO', 'NHWC')
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), 'SAME', dimension_numbers=layout)


def step(convolve, kernels, x):
    gradients = jax.grad(functools.partial(loss, convolve))(kernels, x)
    return jax.tree.map(lambda k, g: k - 0.1 * g, kernels, gradients)


def scanned(convolve):
    def run(kernels, x):
        body = lambda kernels, _: (step(convolve, kernels, x), None)  # noqa: E731
        return jax.lax.scan(body, kernels, length=STEPS)[0]

    return jax.jit(run)


def convolution_scan():
    """Five steps in a scan against five calls; autodiff's scan once, for the record."""
    kernels, x = network()
    single = jax.jit(functools.partial(step, convolve))

    def unscanned():
        state = kernels
        for _ in range(STEPS):
            state = jax.block_until_ready(single(state, x))
        return state

    inside = scanned(convolve)
    ours, peer = alternate(lambda: inside(kernels, x), unscanned, repeats=8)
    autodiff = scanned(lax_convolve)
    (plain,) = alternate(lambda: autodiff(kernels, x), repeats=1)
    detail = {'autodiff_scanned': plain, 'steps': STEPS}
    return record('convolution_scan', ours, peer, 'the same steps unscanned', detail)


def convolution_devices():
    """Forward and backward, the batch over all devices, against torch on two threads."""
    kernels, x = network()
    count = jax.device_count()
    mapped = jax.pmap(
        lambda kernels, x: jax.lax.pmean(
            jax.grad(functools.partial(loss, convolve))(kernels, x), 'data'
        ),
        'data',
        in_axes=(None, 0),
        out_axes=None,
    )
    mesh = jax.make_mesh((count,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    placed = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
    shards = jax.device_put(x.reshape(count, BATCH // count, *x.shape[1:]), placed)
    sides = [lambda: mapped(kernels, shards)]
    try:
        sides.append(torch_gradient(kernels, x))
    except ImportError:
        (ours,) = alternate(*sides)
        return record('convolution_devices', ours, None, 'torch')
    ours, peer = alternate(*sides, repeats=20, warmup=2, pause=0.2)
    return record('convolution_devices', ours, peer, 'torch, 2 threads')


def torch_gradient(kernels, x):
    import torch

    torch.set_num_threads(2)
    image = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2).contiguous()
    weights = [
        torch.tensor(np.asarray(k)).permute(3, 2, 0, 1).contiguous().requires_grad_()
        for k in kernels
    ]

    def gradient():
        y = image
        for weight in weights:
            y = torch.relu(torch.nn.functional.conv2d(y, weight, padding=1))
        return [g.numpy() for g in torch.autograd.grad(y.square().mean(), weights)]

    return gradient


CASES = [
    Case(convolution_scan),
    # More devices than cores wait for each other; with threads for all, none waits in vain.
    Case(convolution_devices, {'JAX_NUM_CPU_DEVICES': '4', 'PJRT_NPROC': '8'}),
]
