"""Finite scalar and lookup-free quantization: all codes, entropies by brute force, the oracles."""

import itertools

import jax
import numpy as np
import pytest
import scipy.special
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.tokens.lookup_free import entropy, mean_probabilities
from jaxcv.tokens.quantizers import quantizer

LEVELS = [(8, 5, 5, 5), (2, 3, 4), (7, 5), (5,)]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


# Scalars


@pytest.mark.parametrize('levels', LEVELS)
def test_codes_and_values_are_one_to_one(levels):
    made = quantizer('fsq', levels=levels)
    assert made.codes == np.prod(levels)
    codes = jnp.arange(made.codes)[None]
    values = np.asarray(made.lookup({}, {}, codes))[0]
    assert len(np.unique(values, axis=0)) == made.codes
    # The first channel counts least.
    grids = [np.arange(n) - n // 2 for n in levels]
    wanted = [row[::-1] for row in itertools.product(*grids[::-1])]
    np.testing.assert_allclose(values, np.asarray(wanted) / [n // 2 for n in levels], atol=1e-7)
    # What is bounded to just these values is found again.
    heights = [(n - 1) * (1 + 1e-3) / 2 for n in levels]
    offsets = [0.0 if n % 2 else 0.5 for n in levels]
    inside = (np.asarray(wanted) + offsets) / heights
    z = np.arctanh(inside) - np.arctanh(np.divide(offsets, heights))
    found, _ = made({}, {}, jnp.asarray(z[None], jnp.float32))
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.values[0], values)
    assert not found.loss.any()


@pytest.mark.parametrize('levels', LEVELS)
def test_every_level_is_reached_and_no_other(levels):
    made = quantizer('fsq', levels=levels)
    z = jnp.linspace(-30, 30, 4001)[None, :, None] * jnp.ones(len(levels))
    values = np.asarray(made({}, {}, z)[0].values)
    assert [len(np.unique(values[..., i])) for i in range(len(levels))] == list(levels)
    np.testing.assert_array_equal(made({}, {}, jnp.zeros((1, 1, len(levels))))[0].values, 0)


def test_gradient_is_that_of_the_bound():
    made, z = quantizer('fsq', levels=(8, 5)), normal(3, 4, 2)
    found = jax.grad(lambda z: made({}, {}, z)[0].values.sum())(z)
    wanted = jax.grad(lambda z: (made.bounded(z) / made.half).sum())(z)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_channels_that_do_not_fit():
    with pytest.raises(UserError, match='vectors have 3 channels, but fsq has 2 levels'):
        quantizer('fsq', levels=(8, 5)).init(jax.random.key(0), 3)
    with pytest.raises(UserError, match='2 or more'):
        quantizer('fsq', levels=(8, 1))
    with pytest.raises(UserError, match='vectors have 3 channels, but lfq has 4 bits'):
        quantizer('lfq', bits=4).init(jax.random.key(0), 3)
    with pytest.raises(UserError, match='bits are 40'):
        quantizer('lfq', bits=40)


# Signs


def test_signs_are_codes():
    made = quantizer('lfq', bits=4)
    codes = jnp.arange(16)[None]
    values = made.lookup({}, {}, codes)
    assert set(np.unique(values)) == {-1.0, 1.0}
    found, _ = made({}, {}, values * jnp.abs(normal(1, 16, 4)))
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(values[0, 1], [1, -1, -1, -1])


def brute(z, temperature):
    """(entropy of each vector, entropy of the mean) over all codes, in double precision."""
    bits = z.shape[-1]
    codes = np.asarray(list(itertools.product((-1, 1), repeat=bits)))
    distances = np.square(np.float64(z)[..., None, :] - codes).sum(-1)
    p = scipy.special.softmax(-distances / temperature, -1)
    mean = p.reshape(-1, 2**bits).mean(0)
    return scipy.special.entr(p).sum(-1), scipy.special.entr(mean).sum()


@pytest.mark.parametrize('bits', [1, 2, 5])
@pytest.mark.parametrize('temperature', [0.01, 1.0, 5.0])
def test_entropies_are_exact(bits, temperature):
    z = 0.5 * normal(3, 7, bits)
    made = quantizer(
        'lfq', bits=bits, temperature=temperature, entropy=0.3, diversity=0.7, beta=0.2
    )
    found, _ = made({}, {}, z)
    certain, diverse = brute(z, temperature)
    commitment = np.square(np.abs(z) - 1).mean((1, 2))
    wanted = 0.3 * (certain.mean(1) - 0.7 * diverse) + 0.2 * commitment
    np.testing.assert_allclose(found.loss, wanted, atol=1e-5)


def test_probabilities_are_in_the_order_of_codes():
    logits = jnp.asarray([[100.0, -100.0, 100.0, 100.0, -100.0]])
    np.testing.assert_allclose(mean_probabilities(logits), np.arange(32) == 0b01101, atol=1e-6)


def test_eighteen_bits_hold_no_array_of_all_codes_of_all_vectors():
    logits = jnp.zeros((1024, 18))
    value = jax.jit(jax.value_and_grad(lambda x: entropy(mean_probabilities(x))))
    memory = value.lower(logits).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * 1024 * 2**18 / 10


def test_the_batch_is_that_of_all_devices():
    made, z = quantizer('lfq', bits=4, temperature=1.0), normal(16, 5, 4)
    found, _ = made({}, {}, z)
    wanted = jax.grad(lambda z: made({}, {}, z)[0].loss.mean())(z)

    def local(z):
        def loss(z):
            found, _ = made({}, {}, z)
            return found.loss.mean(), found.loss

        grad, loss = jax.grad(loss, has_aux=True)(z)
        return loss, grad / across.size()

    loss, grad = jax.pmap(local, across.DATA)(z.reshape(8, 2, 5, 4))
    np.testing.assert_allclose(loss.ravel(), found.loss, atol=1e-6)
    np.testing.assert_allclose(grad.reshape(z.shape), wanted, atol=1e-7)


# Released libraries


@pytest.mark.oracles
@pytest.mark.parametrize('levels', [(8, 5, 5, 5), (3, 4), (7, 6, 5)])
def test_scalars_of_vector_quantize_pytorch(levels):
    torch = pytest.importorskip('torch')
    library = pytest.importorskip('vector_quantize_pytorch')
    theirs, made = library.FSQ(list(levels)), quantizer('fsq', levels=levels)
    z, weights = 2 * normal(2, 50, len(levels)), normal(2, 50, len(levels), seed=1)
    x = torch.tensor(np.asarray(z), requires_grad=True)
    values, codes = theirs(x)
    (values * torch.tensor(np.asarray(weights))).sum().backward()
    found, _ = made({}, {}, z)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_allclose(found.values, values.detach(), atol=1e-6)
    grad = jax.grad(lambda z: (made({}, {}, z)[0].values * weights).sum())(z)
    np.testing.assert_allclose(grad, x.grad, atol=1e-5)


@pytest.mark.oracles
def test_signs_of_vector_quantize_pytorch():
    """Its first channel counts most, ours least, as in the paper. Its logarithms stop at 1e-5."""
    torch = pytest.importorskip('torch')
    library = pytest.importorskip('vector_quantize_pytorch')
    theirs = library.LFQ(
        dim=5, codebook_size=32, entropy_loss_weight=0.3, diversity_gamma=0.7,
        commitment_loss_weight=0.2,
    )  # fmt: skip
    theirs.train()
    z = normal(2, 50, 5)
    x = torch.tensor(np.asarray(z)[..., ::-1].copy(), requires_grad=True)
    values, codes, loss = theirs(x, inv_temperature=1.0)
    made = quantizer('lfq', bits=5, temperature=1.0, entropy=0.3, diversity=0.7, beta=0.2)
    found, _ = made({}, {}, z)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.values, values.detach().numpy()[..., ::-1])
    np.testing.assert_allclose(found.loss.mean(), loss.item(), rtol=1e-3)
    loss.backward()
    grad = jax.grad(lambda z: made({}, {}, z)[0].loss.mean())(z)
    np.testing.assert_allclose(grad, x.grad.numpy()[..., ::-1], atol=3e-5)
