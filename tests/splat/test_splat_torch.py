"""The rasterizer against the loop over tiles in torch that it is timed against."""

import jax
import numpy as np
import pytest
import splat_dense as dense
from jax import numpy as jnp

from benchmarks import torch_splat
from jaxcv.splat import rasterize

KINDS = ('mixed', 'behind', 'huge', 'extremes', 'crowd')


@jax.jit
def ours(splats, camera, weights):
    def loss(splats):
        found = rasterize(splats, camera, capacity=1 << 13)
        images = found.color, found.alpha, found.depth
        return sum((a * b).sum() for a, b in zip(images, weights, strict=True)), (images, found)

    (_, (images, found)), slopes = jax.value_and_grad(loss, has_aux=True)(splats)
    return images, slopes, found.overflow


@pytest.mark.oracles
@pytest.mark.parametrize('kind', KINDS)
def test_images_and_gradients_are_the_same(kind):
    """In float64, where both see the same side of every threshold."""
    import torch

    splats, camera = dense.scene(kind, count=150), dense.camera()
    if kind == 'crowd':
        splats.opacities[:] = np.linspace(0.01, 0.9, 150)  # the end of pixels' light
    if kind == 'extremes':
        splats.opacities[splats.opacities == 1] = 0.995  # beyond what is opaque
    draw, shape = np.random.default_rng(0), (camera.height, camera.width)
    weights = [draw.normal(size=s) for s in ((*shape, 3), shape, shape)]
    with jax.enable_x64(True):
        inputs = jax.tree.map(jnp.asarray, (splats, camera, weights))
        images, slopes, overflow = jax.device_get(ours(*inputs))
    assert overflow == 0

    theirs = torch_splat.tensors(splats)
    eye = [torch.tensor(x) for x in (camera.pose, camera.focal, camera.center)]
    found = torch_splat.rasterize(theirs, *eye, camera.width, camera.height)
    total = sum((a * torch.tensor(b)).sum() for a, b in zip(found, weights, strict=True))
    for got, wanted in zip(images, found, strict=True):
        np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-9, atol=1e-9)
    for got, wanted in zip(slopes, torch.autograd.grad(total, theirs), strict=True):
        scale = np.abs(wanted.numpy()).max()
        np.testing.assert_allclose(got / scale, wanted.numpy() / scale, rtol=0, atol=1e-9)
