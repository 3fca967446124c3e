"""VQ and EMA against the formulas, on any number of devices, and against released libraries."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.ops import across
from jaxcv.tokens import codebook as codebooks
from jaxcv.tokens.nearest import nearest
from jaxcv.tokens.quantizers import quantizer

DEVICES = 8


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def started(name, codebook, **fields):
    """A quantizer with a given codebook: (quantizer, params, state)."""
    made = quantizer(name, codes=len(codebook), **fields)
    params, state = made.init(jax.random.key(0), codebook.shape[1])
    if name == 'vq':
        return made, {'codebook': codebook}, state
    return made, params, state._replace(codebook=codebook)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# Values, losses, gradients


@pytest.mark.parametrize('name', ['vq', 'ema'])
@pytest.mark.parametrize('cosine', [False, True])
def test_values_are_the_codes_looked_up(name, cosine):
    z, codebook = normal(3, 4, 2, 5), normal(7, 5, seed=1)
    codebook = jnp.asarray(unit(codebook)) if cosine else codebook
    made, params, state = started(name, codebook, cosine=cosine, beta=0.3)
    found, after = made(params, state, z)
    np.testing.assert_array_equal(found.values, made.lookup(params, state, found.codes))
    assert after is state
    x = unit(np.asarray(z)) if cosine else np.asarray(z)
    nearby = np.square(np.float64(x)[..., None, :] - np.float64(codebook)).sum(-1).argmin(-1)
    np.testing.assert_array_equal(found.codes, nearby)
    squares = np.square(x - np.asarray(codebook)[nearby]).mean((1, 2, 3))
    factor = 1.3 if name == 'vq' else 0.3
    np.testing.assert_allclose(found.loss, factor * squares, rtol=1e-5)


@pytest.mark.parametrize('name', ['vq', 'ema'])
@pytest.mark.parametrize('beta', [0.0, 0.25, 1.0])
def test_analytic_gradients(name, beta):
    """To z: the decoder's as it is, and 2 beta (z - e); to a code: 2 (e - z), summed over those
    it is nearest to. The loss is a mean over a sample's 30 numbers."""
    z, codebook, weights = normal(2, 6, 5), normal(4, 5, seed=1), normal(2, 6, 5, seed=2)
    made, params, state = started(name, codebook, beta=beta)

    def loss(params, z):
        found, _ = made(params, state, z, keys(2))
        return (found.values * weights).sum() + found.loss.sum()

    to_params, to_z = jax.jit(jax.grad(loss, (0, 1)))(params, z)
    codes = np.asarray(nearest(z, codebook))
    difference = np.asarray(z - codebook[codes])
    np.testing.assert_allclose(to_z, weights + 2 * beta * difference / 30, atol=1e-6)
    if name == 'vq':
        wanted = np.zeros((4, 5))
        np.add.at(wanted, codes, -2 * difference / 30)
        np.testing.assert_allclose(to_params['codebook'], wanted, atol=1e-6)


def test_gradients_of_cosine_codes_are_tangent():
    z, codebook = normal(2, 6, 5), normal(4, 5, seed=1)
    made, params, state = started('vq', codebook, cosine=True)

    def loss(params, z):
        found, _ = made(params, state, z)
        return found.loss.sum() + (found.values[..., 0]).sum()

    to_params, to_z = jax.jit(jax.grad(loss, (0, 1)))(params, z)
    np.testing.assert_allclose((to_params['codebook'] * codebook).sum(-1), 0, atol=1e-6)
    np.testing.assert_allclose((to_z * z).sum(-1), 0, atol=1e-6)
    assert np.abs(to_z).min(-1).max() > 1e-3


def test_half_precision_stays():
    made, params, state = started('vq', normal(4, 5, seed=1))
    found, after = made(params, state, normal(2, 6, 5).astype(jnp.bfloat16), keys(2))
    assert found.values.dtype == jnp.bfloat16 and found.loss.dtype == jnp.float32
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(after))


# Statistics


def sonnet(batches, codebook, decay, epsilon):
    """Sonnet's VectorQuantizerEMA in double precision: averages divided by 1 - decay^t."""
    counts, sums = np.zeros(len(codebook)), np.zeros(codebook.shape)
    for t, z in enumerate(batches, 1):
        codes = np.square(z[:, None] - codebook).sum(-1).argmin(-1)
        one_hot = np.eye(len(codebook))[codes]
        counts = counts * decay + (1 - decay) * one_hot.sum(0)
        sums = sums * decay + (1 - decay) * one_hot.T @ z
        number, total = counts / (1 - decay**t), sums / (1 - decay**t)
        n = number.sum()
        number = (number + epsilon) / (n + len(codebook) * epsilon) * n
        codebook = total / number[:, None]
    return codebook


@pytest.mark.parametrize('decay,epsilon', [(0.99, 1e-5), (0.8, 0.5)])
def test_ema_is_sonnets(decay, epsilon):
    codebook, batches = normal(4, 3, seed=1), normal(6, 8, 5, 3)
    made, params, state = started('ema', codebook, decay=decay, epsilon=epsilon)
    step = jax.jit(made)
    for z in batches:
        _, state = step(params, state, z, keys(8))
    flat = np.float64(batches).reshape(6, -1, 3)
    wanted = sonnet(flat, np.float64(codebook), decay, epsilon)
    np.testing.assert_allclose(state.codebook, wanted, atol=1e-5)


def run(made, params, state, batches, devices):
    """The state and the codes after training on batches [t b ...], the batch over devices."""
    shards = batches.reshape(len(batches), devices, -1, *batches.shape[2:])

    def step(state, z, key):
        found, state = made(params, state, z, across.keys(key, len(z)))
        return across.mean(state), found.codes

    chosen = jax.devices()[:devices]
    mapped = jax.pmap(
        step, across.DATA, in_axes=(None, 0, None), out_axes=(None, 0), devices=chosen
    )
    for t, z in enumerate(shards):
        state, codes = mapped(state, z, jax.random.key(t))
    return state, np.asarray(codes).reshape(batches.shape[1], *codes.shape[2:])


@pytest.mark.parametrize('name', ['vq', 'ema', 'multiscale'])
def test_every_number_of_devices_learns_the_same(name):
    """With k-means at the first batch and codes revived: 20 codes for 3 clusters."""
    batches = 0.1 * normal(4, 16, 4, 4, 3) + jnp.eye(3)[jnp.arange(4) % 3]
    others = {'scales': (1, 2, 4), 'phis': 0} if name == 'multiscale' else {}
    made = quantizer(name, codes=20, kmeans=3, revive=0.3, decay=0.5, **others)
    params, state = made.init(jax.random.key(0), 3)
    one, codes = run(made, params, state, batches, 1)
    many, same = run(made, params, state, batches, DEVICES)
    np.testing.assert_array_equal(codes, same)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-6)
    assert codebooks.usage(codebooks.counts(codes, 20)) > 0.5


@pytest.mark.parametrize('name', ['vq', 'ema'])
def test_kmeans_opens_the_first_batch_only(name):
    corners = jnp.asarray([[9.0, 0], [0, 9], [-9, 0], [0, -9]])
    z = corners[jnp.arange(64) % 4].reshape(8, 8, 2) + 0.1 * normal(8, 8, 2)
    made = quantizer(name, codes=16, kmeans=5, beta=1.0)
    params, state = made.init(jax.random.key(0), 2)
    before, _ = made(params, state, z)
    step = jax.jit(made)
    first, state = step(params, state, z, keys(8))
    assert first.loss.max() < 0.05 < 10 < before.loss.min()
    _, after = step(params, state, z + 100, keys(8))
    if name == 'vq':
        np.testing.assert_array_equal(after.shift, state.shift)
    else:
        assert np.abs(after.codebook).max() < 120


@pytest.mark.parametrize('name', ['vq', 'ema'])
def test_dead_codes_become_vectors_of_the_batch(name):
    """All vectors are at 1, one code is near it, the others far away."""
    codebook = jnp.asarray([[1.1, 1.0], [50, 50], [60, 60], [70, 70]])
    z = 1 + 1e-3 * normal(4, 8, 2)
    made, params, state = started(name, codebook, revive=0.1)
    found, state = jax.jit(made)(params, state, z, keys(4))
    assert (found.codes == 0).all()
    now = np.asarray(state.codebook if name == 'ema' else made.codebook(params, state))
    flat = np.asarray(z).reshape(-1, 2)
    places = [np.abs(flat - code).sum(-1).argmin() for code in now[1:]]
    np.testing.assert_allclose(flat[places], now[1:], atol=1e-5)
    assert len(set(places)) == 3
    # As often as the average, and where sums are kept, with the sum to match.
    np.testing.assert_allclose(state.counts[1:], 32 * 0.01 / 4, rtol=1e-5)
    if name == 'ema':
        np.testing.assert_allclose(state.sums[1:], now[1:] * 0.08, rtol=1e-5)
    kept, params, state = started(name, codebook, revive=0.0)
    _, state = jax.jit(kept)(params, state, z, keys(4))
    now = state.codebook if name == 'ema' else kept.codebook(params, state)
    assert not (np.abs(np.asarray(now)[1:] - 1) < 0.5).any()


@pytest.mark.parametrize('name', ['vq', 'ema'])
def test_revival_uses_more_codes(name):
    """A fresh codebook is around 0 and the vectors are not: few codes are ever the nearest."""

    def used(revive):
        made = quantizer(name, codes=64, revive=revive, decay=0.9)
        params, state = made.init(jax.random.key(0), 4)

        @jax.jit
        def step(params, state, z):
            def loss(params):
                found, after = made(params, state, z, keys(8))
                return found.loss.sum(), after

            grads, after = jax.grad(loss, has_aux=True)(params)
            return jax.tree.map(lambda p, g: p - 5.0 * g, params, grads), after

        for t in range(30):
            params, state = step(params, state, 3 + normal(8, 64, 4, seed=t))
        found, _ = made(params, state, 3 + normal(8, 64, 4, seed=99))
        return float(codebooks.usage(codebooks.counts(found.codes, 64)))

    assert used(0.1) > 0.9 > 0.5 > used(0.0)


# Released libraries


def theirs_with(codebook, **fields):
    """vector-quantize-pytorch with a given codebook, in training."""
    torch = pytest.importorskip('torch')
    library = pytest.importorskip('vector_quantize_pytorch')
    made = library.VectorQuantize(codebook.shape[1], len(codebook), **fields)
    with torch.no_grad():
        made.codebook = torch.tensor(np.asarray(codebook))
    made.train()
    return torch, made


@pytest.mark.oracles
@pytest.mark.parametrize('rotation', [False, True])
@pytest.mark.parametrize('learned', [False, True])
def test_against_vector_quantize_pytorch(rotation, learned):
    """Its loss has one square for both terms, so at beta = 1 the gradients agree."""
    z, codebook, weights = normal(2, 9, 5), normal(7, 5, seed=1), normal(2, 9, 5, seed=2)
    torch, theirs = theirs_with(
        codebook, rotation_trick=rotation, learnable_codebook=learned, ema_update=False
    )
    x = torch.tensor(np.asarray(z), requires_grad=True)
    values, codes, loss = theirs(x)
    ((values * torch.tensor(np.asarray(weights))).sum() + loss).backward()
    name = 'vq' if learned else 'ema'
    made, params, state = started(name, codebook, beta=1.0, rotation=rotation)

    def ours(params, z):
        found, _ = made(params, state, z, keys(2))
        return (found.values * weights).sum() + found.loss.mean(), found

    (to_params, to_z), found = jax.grad(ours, (0, 1), has_aux=True)(params, z)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_allclose(found.values, values.detach(), atol=1e-5)
    np.testing.assert_allclose(found.loss.mean(), loss.item() * (2 if learned else 1), rtol=1e-5)
    np.testing.assert_allclose(to_z, x.grad, atol=1e-5)
    if learned:
        wanted = theirs._codebook.embed.grad[0]
        np.testing.assert_allclose(to_params['codebook'], wanted, atol=1e-6)


@pytest.mark.oracles
@pytest.mark.parametrize('cosine', [False, True])
def test_moving_averages_of_vector_quantize_pytorch(cosine):
    """It does not debias: from a count of one and the code itself, not from zero. A state that
    says that the weight of these is 1 makes both the same."""
    codebook, batches = normal(7, 5, seed=1), normal(4, 2, 9, 5)
    codebook = jnp.asarray(unit(codebook)) if cosine else codebook
    torch, theirs = theirs_with(codebook, decay=0.9, use_cosine_sim=cosine)
    theirs._codebook.embed_avg.copy_(torch.tensor(np.asarray(codebook))[None])
    made, params, state = started('ema', codebook, decay=0.9, cosine=cosine)
    state = state._replace(counts=jnp.ones(7), sums=codebook, weight=jnp.ones(()))
    for z in batches:
        _, codes, _ = theirs(torch.tensor(np.asarray(z)))
        found, state = made(params, state, z, keys(2))
        np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_allclose(state.codebook, theirs.codebook, atol=1e-5)


@pytest.mark.oracles
def test_loss_is_diffusers_without_its_default():
    """Its VectorQuantizer has beta on the codebook term unless `legacy=False`: at beta = 1/4 the
    gradient of z is then 4 times too large and that of the codebook 4 times too small."""
    torch = pytest.importorskip('torch')
    vae = pytest.importorskip('diffusers.models.autoencoders.vae')
    z, codebook = normal(2, 3, 4, 5), normal(7, 5, seed=1)
    made, params, state = started('vq', codebook, beta=0.25)

    def loss(params, z):
        found, _ = made(params, state, z)
        return found.loss.mean(), found

    (to_params, to_z), found = jax.grad(loss, (0, 1), has_aux=True)(params, z)
    for legacy, factors in ((False, (1, 1)), (True, (4, 0.25))):
        theirs = vae.VectorQuantizer(7, 5, beta=0.25, legacy=legacy)
        theirs.embedding.weight.data = torch.tensor(np.asarray(codebook))
        x = torch.tensor(np.asarray(z)).permute(0, 3, 1, 2).requires_grad_()
        values, total, (_, _, codes) = theirs(x)
        total.backward()
        np.testing.assert_array_equal(found.codes.ravel(), codes)
        values = values.detach().permute(0, 2, 3, 1)
        np.testing.assert_allclose(found.values, values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.loss.mean(), total.item(), rtol=1e-5)
        np.testing.assert_allclose(factors[0] * to_z, x.grad.permute(0, 2, 3, 1), atol=1e-6)
        wanted = theirs.embedding.weight.grad
        np.testing.assert_allclose(factors[1] * to_params['codebook'], wanted, atol=1e-6)
