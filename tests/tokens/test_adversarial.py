"""Losses of two players against closed forms."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads

from jaxcv import nn
from jaxcv.errors import UserError
from jaxcv.ops import across, noise
from jaxcv.tokens import adversarial
from jaxcv.train import players


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_losses_are_their_formulas():
    real, fake = normal(5, 3, 2), normal(5, 3, 2, seed=1)
    r, f = np.float64(real), np.float64(fake)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    wanted = {
        'hinge': (np.maximum(0, 1 - r) + np.maximum(0, 1 + f), -f),
        'non_saturating': (-np.log(sigmoid(r)) - np.log(1 - sigmoid(f)), -np.log(sigmoid(f))),
    }
    for name, (discriminator, generator) in wanted.items():
        game = adversarial.adversary(name)
        found = game.discriminator(real, fake)
        np.testing.assert_allclose(found, discriminator.mean((1, 2)), rtol=1e-5)
        np.testing.assert_allclose(game.generator(fake), generator.mean((1, 2)), rtol=1e-5)
        first = game.discriminator(real[:, 0, 0], fake[:, 0, 0])
        np.testing.assert_allclose(first, discriminator[:, 0, 0], rtol=1e-5)
    with pytest.raises(UserError, match='the adversarial loss'):
        adversarial.adversary('hinged')


def test_the_best_logistic_discriminator_is_the_log_ratio_of_densities():
    """Goodfellow et al.: E[loss] is least where D = log p - log q, and there 2 log 2 - 2 JS."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    logistic = adversarial.adversary('non_saturating').discriminator

    def expected(d):
        zero = jnp.zeros(3)
        return (p * logistic(d, zero) + q * logistic(zero, d)).sum() - 2 * np.log(2)

    best = jnp.asarray(np.log(p / q), jnp.float32)
    np.testing.assert_allclose(jax.grad(expected)(best), 0, atol=1e-6)
    middle = (p + q) / 2
    divergence = (p * np.log(p / middle) + q * np.log(q / middle)).sum() / 2
    np.testing.assert_allclose(expected(best), 2 * np.log(2) - 2 * divergence, rtol=1e-5)


def test_r1_of_quadratics():
    """D(x) = x' A x / 2 has the gradient A x; a mean over patches has the patches' mean."""
    a, x = normal(12, 12), normal(3, 2, 2, 3, seed=1)
    a = a + a.T

    def form(x):
        flat = x.reshape(len(x), -1)
        return 0.5 * jnp.einsum('bi,ij,bj->b', flat, a, flat)

    wanted = 0.5 * np.square(np.asarray(x).reshape(3, -1) @ np.asarray(a)).sum(1)
    np.testing.assert_allclose(adversarial.r1(form, x), wanted, rtol=1e-4)
    patches = adversarial.r1(lambda x: jnp.square(x).sum(-1) / 2, x)
    np.testing.assert_allclose(patches, np.square(x / 4).sum((1, 2, 3)) / 2, rtol=1e-5)


def test_the_gradient_of_r1_by_finite_differences():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 2, 1)))
        w = jnp.asarray(np.random.default_rng(1).normal(size=(4,)))

        def penalty(w):
            return adversarial.r1(lambda x: jnp.tanh(x.reshape(2, 4) @ w), x).sum()

        found, step = jax.grad(penalty)(w), 1e-3
        for i, e in enumerate(np.eye(4)):
            # Penalties are float32 whatever the images: a large step.
            slope = (penalty(w + step * e) - penalty(w - step * e)) / (2 * step)
            np.testing.assert_allclose(found[i], slope, rtol=2e-3, atol=1e-4)


def test_lazy_penalties_add_up_and_are_skipped():
    x = normal(4)

    def at(step, w):
        return adversarial.lazily(lambda: jnp.square(w * x), step, 3)

    gradient = jax.jit(jax.grad(lambda w, step: at(step, w).sum()))
    values = [jax.jit(at)(jnp.int32(i), 2.0) for i in range(6)]
    np.testing.assert_allclose(sum(values), 6 * 4 * np.square(x), rtol=1e-5)
    np.testing.assert_array_equal(values[1], 0)
    slopes = [float(gradient(2.0, jnp.int32(i))) for i in range(6)]
    np.testing.assert_allclose(slopes, [12 * jnp.square(x).sum(), 0, 0] * 2, rtol=1e-5)
    # A branch, not a choice between two results.
    assert 'cond[' in str(jax.make_jaxpr(at)(jnp.int32(0), 2.0))


def test_nothing_before_the_start():
    found = [float(adversarial.started(jnp.int32(i), 3)) for i in range(5)]
    assert found == [0, 0, 0, 1, 1]


def test_adaptive_weight_balances_the_last_layer():
    """reconstruction = <a, k>, adversarial = <b, k>: |a| / (|b| + 1e-4)."""
    k, a, b = (normal(3, 4, seed=i) for i in range(3))

    def weight(a, b, k=k):
        return adversarial.adaptive_weight(lambda k: (a * k).sum(), lambda k: (b * k).sum(), k)

    norm = np.linalg.norm
    np.testing.assert_allclose(weight(a, b), norm(a) / (norm(b) + 1e-4), rtol=1e-5)
    assert weight(a, 0 * b) == 1e4 and weight(0 * a, b) == 0
    np.testing.assert_allclose(weight(1e-3 * a, 0 * b), norm(a) * 10, rtol=1e-5)
    np.testing.assert_array_equal(jax.grad(lambda k: weight(a * k, b, k))(k), 0)


def test_adaptive_weight_is_that_of_the_global_batch():
    x, k = normal(16, 3), normal(3, seed=1)

    def weight(x):
        return adversarial.adaptive_weight(
            lambda k: jnp.square(x @ k).mean(), lambda k: (x @ k).mean(), k
        )

    apart = jax.pmap(weight, across.DATA)(x.reshape(8, 2, 3))
    np.testing.assert_allclose(apart, weight(x), rtol=1e-4)


@pytest.mark.parametrize('name', ['hinge', 'non_saturating'])
def test_gradients_by_finite_differences(name):
    game = adversarial.adversary(name)
    real, fake = normal(4, 3, seed=3), normal(4, 3, seed=4)
    check_grads(game.discriminator, (real, fake), 1, ('rev',), atol=1e-2, rtol=1e-2, eps=1e-3)
    check_grads(game.generator, (fake,), 1, ('rev',), atol=1e-2, rtol=1e-2, eps=1e-3)


# Everything at once


def judge(params, x):
    return jnp.tanh(nn.convolve(x, params['kernel'], strides=2)).sum(-1)


def game():
    """A convolution of noisy images; adaptive weight from step 1 on, R1 at every second."""
    losses = adversarial.adversary('hinge')

    def decode(params, x):
        return nn.convolve(x, params['kernel'])

    def make(params, aux, batch, keys):
        x = batch + 0.1 * noise.normal(keys, batch.shape[1:])
        return {'input': x, 'image': decode(params, x)}, aux

    def generator(params, made, batch, keys, rival, step):
        def rebuilt(image):
            return jnp.square(image - batch).mean()

        def fooled(image):
            return losses.generator(judge(rival.params, image)).mean()

        def last(term):
            return lambda kernel: term(decode({'kernel': kernel}, made['input']))

        weight = adversarial.adaptive_weight(last(rebuilt), last(fooled), params['kernel'])
        weight = weight * adversarial.started(step, 1)
        image = made['image']
        return rebuilt(image) + weight * fooled(image), {'weight': weight}

    def discriminator(params, aux, made, batch, keys, step):
        real, fake = judge(params, batch), judge(params, made['image'])
        penalty = adversarial.lazily(
            lambda: adversarial.r1(lambda x: judge(params, x), batch), step, 2
        )
        loss = losses.discriminator(real, fake) + 0.1 * penalty
        return loss.mean(), aux, {'r1': penalty.mean()}

    return players.Game(make, generator, discriminator)


def rounds(devices, count=4):
    training = players.play(game(), (optax.adam(1e-2), optax.adam(1e-2)), ema=0.9)
    state = training.init(({'kernel': normal(3, 3, 1, 1)}, {'kernel': normal(3, 3, 1, 2, seed=1)}))
    batch, found = normal(16, 4, 4, 1, seed=2).reshape(devices, -1, 4, 4, 1), []
    step = jax.pmap(
        training.step, across.DATA, in_axes=(None, 0, None), out_axes=None,
        devices=jax.devices()[:devices],
    )  # fmt: skip
    for i in range(count):
        state, metrics = step(state, batch, jax.random.key(i))
        found.append(jax.device_get(metrics))
    return jax.device_get(state), found


def test_layouts_agree_on_weights_and_penalties():
    """One device, and eight with two samples each."""
    alone, together = rounds(1), rounds(8)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5)
    weights = [metrics['generator/weight'] for metrics in alone[1]]
    assert weights[0] == 0 and min(weights[1:]) > 0
    penalties = [metrics['discriminator/r1'] > 0 for metrics in alone[1]]
    assert penalties == [True, False, True, False]
