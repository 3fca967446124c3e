"""Multi-scale residual quantization: exact where the codebook is fine, coarse codes first, and
VAR's sums written with torch's interpolation."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens.interpolation import area, area_matrix, bicubic, cubic_matrix
from jaxcv.tokens.quantizers import quantizer

SCALES = (1, 2, 4)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def multiscale(width=3, scales=SCALES, **fields):
    """With a random codebook: (quantizer, params, state)."""
    made = quantizer('multiscale', codes=16, scales=scales, **fields)
    params, state = made.init(jax.random.key(0), width)
    params['codebook'] = 0.5 * normal(16, width, seed=1)
    if made.phis:
        params['phi']['bias'] = 0.1 * normal(made.phis, width, seed=2)
    return made, params, state


def grid(spacing):
    """Codes on a line from -6 to 6, 0 among them."""
    count = round(6 / spacing)
    return jnp.arange(-count, count + 1.0)[:, None] * spacing


# Interpolation


def test_areas_and_their_means():
    x = normal(2, 6, 6, 3)
    np.testing.assert_allclose(area(x, 1)[:, 0, 0], x.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(area(x, 3)[0, 1, 2], x[0, 2:4, 4:6].mean((0, 1)), atol=1e-6)
    np.testing.assert_array_equal(area(x, 6), x)
    np.testing.assert_allclose(area_matrix(5, 2), [[1 / 3] * 3 + [0] * 2, [0] * 2 + [1 / 3] * 3])


def test_cubic_weights_keep_constants_and_lines():
    for old, new in ((1, 8), (3, 8), (4, 16), (6, 8)):
        np.testing.assert_allclose(cubic_matrix(old, new).sum(1), 1, atol=1e-12)
    np.testing.assert_array_equal(cubic_matrix(5, 5), np.eye(5))
    # In the middle a doubled row is symmetric about its centers.
    matrix = cubic_matrix(8, 16)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)


@pytest.mark.oracles
@pytest.mark.parametrize('size', [1, 2, 3, 5, 6, 7])
def test_interpolation_is_torchs(size):
    torch = pytest.importorskip('torch')
    resize = torch.nn.functional.interpolate
    x = normal(2, 8, 8, 3)
    there = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)
    small = resize(there, size=(size, size), mode='area').permute(0, 2, 3, 1)
    np.testing.assert_allclose(area(x, size), small, atol=1e-6)
    y = normal(2, size, size, 3)
    there = torch.tensor(np.asarray(y)).permute(0, 3, 1, 2)
    large = resize(there, size=(8, 8), mode='bicubic').permute(0, 2, 3, 1)
    np.testing.assert_allclose(bicubic(y, 8, 8), large, atol=1e-5)


# Codes


@pytest.mark.parametrize('spacing', [0.5, 0.05])
def test_a_fine_codebook_is_exact(spacing):
    """The last scale is that of z: what is left is at most half the distance of two codes."""
    made = quantizer('multiscale', codes=len(grid(spacing)), scales=SCALES, phis=0)
    params, state = made.init(jax.random.key(0), 1)
    params['codebook'] = grid(spacing)
    z = normal(4, 4, 4, 1)
    found, _ = jax.jit(made)(params, state, z)
    assert np.abs(found.values - z).max() <= spacing / 2 + 1e-5
    values = jax.jit(made.lookup)(params, state, found.codes)
    np.testing.assert_allclose(values, found.values, atol=1e-6)
    # And vectors on the codes come back as they are.
    on = spacing * jnp.round(z / spacing)
    alone = quantizer('multiscale', codes=len(grid(spacing)), scales=(4,), phis=0)
    np.testing.assert_allclose(alone(params, state, on)[0].values, on, atol=1e-6)


@pytest.mark.parametrize('phis', [0, 3])
def test_values_are_the_codes_looked_up(phis):
    made, params, state = multiscale(phis=phis, revive=0.1)
    z = normal(2, 4, 4, 3)
    found, after = jax.jit(made)(params, state, z)
    assert not jax.tree.leaves(after)[0].any()
    assert found.codes.shape == (2, *made.grid(4, 4)) == (2, 21) == (2, made.length(4, 4))
    values = jax.jit(made.lookup)(params, state, found.codes)
    np.testing.assert_allclose(values, found.values, atol=1e-6)


def test_inputs_know_the_scales_before_only():
    made, params, state = multiscale()
    codes = jnp.asarray(np.random.default_rng(0).integers(0, 16, (2, 21)))
    inputs_of = jax.jit(made.inputs)
    inputs = inputs_of(params, state, codes)
    assert inputs.shape == (2, 21, 3)
    np.testing.assert_array_equal(inputs[:, 0], 0)
    for scale in made.layout():
        changed = codes.at[:, scale.start :].set((codes[:, scale.start :] + 1) % 16)
        same = np.asarray(inputs_of(params, state, changed) == inputs).all((0, 2))
        assert same[: scale.stop].all()
        if scale.index < 2:
            assert not same[scale.stop :].all()


def test_a_scale_at_a_time_is_all_at_once():
    made, params, state = multiscale()
    found, _ = jax.jit(made)(params, state, normal(2, 4, 4, 3))
    inputs, total = jax.jit(made.inputs)(params, state, found.codes), made.blank(params, 2)
    for scale in made.layout():
        part = slice(scale.start, scale.stop)
        np.testing.assert_allclose(made.seen(total, scale), inputs[:, part], atol=1e-6)
        total = made.add(params, state, total, found.codes[:, part], scale)
    np.testing.assert_allclose(total, found.values, atol=1e-6)


def test_gradients():
    """The decoder's goes straight through to z; codebook and convolutions learn from the loss."""
    made, params, state = multiscale(beta=0.3)
    z, weights = normal(2, 4, 4, 3), normal(2, 4, 4, 3, seed=3)

    def weighted(params, z):
        return (made(params, state, z, keys(2))[0].values * weights).sum()

    to_params, to_z = jax.jit(jax.grad(weighted, (0, 1)))(params, z)
    np.testing.assert_array_equal(to_z, weights)
    assert not any(x.any() for x in jax.tree.leaves(to_params))

    def loss(params, z):
        found, _ = made(params, state, z)
        return found.loss.sum(), found.codes

    (to_params, to_z), codes = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, z)
    for grad in jax.tree.leaves(to_params):
        assert np.isfinite(grad).all() and np.abs(grad).max() > 1e-5
    total, wanted = made.blank(params, 2), 0.0
    for scale in made.layout():
        total = made.add(params, state, total, codes[:, scale.start : scale.stop], scale)
        wanted = wanted + 0.3 * 2 * (z - total) / 48 / 3
    np.testing.assert_allclose(to_z, wanted, atol=1e-6)


def test_mistakes():
    with pytest.raises(UserError, match='must grow'):
        quantizer('multiscale', scales=(1, 4, 2))
    made, params, state = multiscale()
    with pytest.raises(UserError, match='there are 4x2 vectors'):
        made(params, state, normal(2, 4, 2, 3))


@pytest.mark.oracles
@pytest.mark.parametrize('phis', [1, 3, 4])
def test_algorithm_1_in_torch(phis):
    """The paper's algorithms in torch's own operations: interpolation, distances, convolution."""
    torch = pytest.importorskip('torch')
    resize, conv = torch.nn.functional.interpolate, torch.nn.functional.conv2d
    scales = (1, 2, 3, 4, 6, 8)
    made, params, state = multiscale(scales=scales, phis=phis)
    z = normal(2, 8, 8, 3)
    codebook = torch.tensor(np.asarray(params['codebook']))
    phi = {name: torch.tensor(np.asarray(x)) for name, x in params['phi'].items()}
    target = torch.tensor(np.asarray(z)).permute(0, 3, 1, 2)
    rest, total, codes, loss = target.clone(), torch.zeros_like(target), [], 0.0
    edges = {1: [6], 3: [2, 4, 6], 4: [2, 3, 4, 6]}[phis]  # which scales share a convolution
    for k, size in enumerate(scales):
        small = resize(rest, size=(size, size), mode='area').permute(0, 2, 3, 1)
        nearby = torch.cdist(small.reshape(-1, 3), codebook).argmin(-1)
        codes.append(nearby.reshape(2, -1))
        e = codebook[nearby].reshape(2, size, size, 3).permute(0, 3, 1, 2)
        up = resize(e, size=(8, 8), mode='bicubic')
        which = next(i for i, edge in enumerate(edges) if k < edge)
        kernel = phi['kernel'][which].permute(3, 2, 0, 1)
        term = 0.5 * up + 0.5 * conv(up, kernel, phi['bias'][which], padding=1)
        rest, total = rest - term, total + term
        loss = loss + 1.25 * (total - target).square().mean((1, 2, 3)) / 6
    found, _ = made(params, state, z)
    np.testing.assert_array_equal(found.codes, torch.cat(codes, 1))
    np.testing.assert_allclose(found.values, total.permute(0, 2, 3, 1), atol=1e-5)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-4)
