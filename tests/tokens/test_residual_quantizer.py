"""Residual quantization: its parts, its gradients, and vector-quantize-pytorch's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens.quantizers import quantizer


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def residual(depth=3, codebooks=None, **fields):
    """With learned codebooks, given or random: (quantizer, params, state)."""
    inner = {'name': 'vq', 'codes': 7, 'beta': 1.0}
    made = quantizer('residual', depth=depth, inner=inner, **fields)
    params, state = made.init(jax.random.key(0), 5)
    codebooks = normal(len(params), 7, 5, seed=1) if codebooks is None else codebooks
    return made, [{'codebook': codebook} for codebook in codebooks], state


@pytest.mark.parametrize('shared', [False, True])
def test_stages_quantize_what_is_left(shared):
    made, params, state = residual(shared=shared)
    z = normal(2, 3, 4, 5)
    found, _ = jax.jit(made)(params, state, z)
    rest, total, loss = np.asarray(z), 0.0, 0.0
    for stage in range(3):
        codebook = np.asarray(params[0 if shared else stage]['codebook'])
        codes = np.square(rest[..., None, :] - codebook).sum(-1).argmin(-1)
        np.testing.assert_array_equal(found.codes[..., stage], codes)
        rest, total = rest - codebook[codes], total + codebook[codes]
        loss = loss + 2 * np.square(rest).mean((1, 2, 3))
    np.testing.assert_allclose(found.values, total, atol=1e-6)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)
    np.testing.assert_array_equal(made.lookup(params, state, found.codes), found.values)
    assert found.codes.shape == (2, *made.grid(3, 4)) and made.length(3, 4) == 36


@pytest.mark.parametrize('rotation', [False, True])
def test_the_decoders_gradient_arrives_once(rotation):
    made, params, state = residual(rotation=rotation)
    z, weights = normal(2, 6, 5), normal(2, 6, 5, seed=2)

    def weighted(params, z):
        return (made(params, state, z, keys(2))[0].values * weights).sum()

    to_params, to_z = jax.jit(jax.grad(weighted, (0, 1)))(params, z)
    assert not any(x.any() for x in jax.tree.leaves(to_params))
    if rotation:
        values = made(params, state, z)[0].values
        scale = jnp.linalg.norm(values, axis=-1) / jnp.linalg.norm(z, axis=-1)
        lengths = jnp.linalg.norm(to_z, axis=-1) / jnp.linalg.norm(weights, axis=-1)
        np.testing.assert_allclose(lengths, scale, rtol=1e-4)
    else:
        np.testing.assert_array_equal(to_z, weights)


def test_codebooks_gradients_are_those_of_their_stage():
    made, params, state = residual()
    z = normal(1, 6, 5)
    found, _ = made(params, state, z)
    grads = jax.jit(jax.grad(lambda p: made(p, state, z)[0].loss.sum()))(params)
    rest = np.asarray(z)[0]
    for stage, (own, grad) in enumerate(zip(params, grads, strict=True)):
        codes = np.asarray(found.codes)[0, :, stage]
        left = rest - np.asarray(own['codebook'])[codes]
        wanted = np.zeros((7, 5))
        np.add.at(wanted, codes, -2 * left / 30)
        np.testing.assert_allclose(grad['codebook'], wanted, atol=1e-6)
        rest = left


@pytest.mark.parametrize('shared', [False, True])
def test_more_stages_are_closer(shared):
    inner = {'name': 'ema', 'codes': 16, 'revive': 0.05, 'decay': 0.9}
    z, left = normal(8, 64, 3), []
    for depth in (1, 3):
        made = quantizer('residual', depth=depth, shared=shared, inner=inner)
        params, state = made.init(jax.random.key(0), 3)
        step = jax.jit(made)
        for i in range(10):
            found, state = step(params, state, z, keys(8, i))
        left.append(float(jnp.square(found.values - z).mean()))
    assert left[1] < 0.4 * left[0]


def test_stages_that_normalize_are_refused():
    with pytest.raises(UserError, match='mean nothing for residuals'):
        quantizer('residual', inner={'name': 'ema', 'cosine': True})


@pytest.mark.oracles
def test_against_vector_quantize_pytorch():
    """Its ResidualVQ multiplies the decoder's gradient by the number of stages, since the values
    of each stage have the gradient of z: here, three times ours."""
    torch = pytest.importorskip('torch')
    library = pytest.importorskip('vector_quantize_pytorch')
    theirs = library.ResidualVQ(
        dim=5, num_quantizers=3, codebook_size=7, rotation_trick=False,
        learnable_codebook=True, ema_update=False,
    )  # fmt: skip
    theirs.train()
    made, params, state = residual(codebooks=jnp.asarray(theirs.codebooks.detach().numpy()))
    z, weights = normal(2, 9, 5), normal(2, 9, 5, seed=2)
    x = torch.tensor(np.asarray(z), requires_grad=True)
    values, codes, losses = theirs(x)
    found, _ = jax.jit(made)(params, state, z)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_allclose(found.values, values.detach(), atol=1e-5)
    np.testing.assert_allclose(found.loss.mean(), 2 * losses.sum().item(), rtol=1e-5)
    (values * torch.tensor(np.asarray(weights))).sum().backward()
    np.testing.assert_allclose(3 * weights, x.grad, rtol=1e-5)
