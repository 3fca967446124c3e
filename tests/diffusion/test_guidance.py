"""Two classes with Gaussian pixels: every posterior is known."""

from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import guidance
from jaxcv.diffusion.parameterization import Prediction
from jaxcv.diffusion.process import Level
from jaxcv.errors import UserError

MEANS = jnp.array([-0.7, 0.4])
SPREAD = 0.3
BOTH = 2  # the null class
LEVEL = Level(jnp.float32(0.8), jnp.float32(0.6), jnp.float32(10))


def log_joint(x, level):
    """log p(x, class) of scalar images, [b 2]."""
    variance = (level.alpha * SPREAD) ** 2 + level.sigma**2
    return -0.5 * (x[:, :1] - level.alpha * MEANS) ** 2 / variance


def denoise(x, level, label):
    """E[x0 | x, class]; of both classes for the null class."""
    variance = (level.alpha * SPREAD) ** 2 + level.sigma**2
    each = MEANS + level.alpha * SPREAD**2 / variance * (x[:, :1] - level.alpha * MEANS)
    mixed = (jax.nn.softmax(log_joint(x, level)) * each).sum(1)
    own = jnp.take_along_axis(each, jnp.minimum(label, 1)[:, None], 1)[:, 0]
    x0 = jnp.where(label == BOTH, mixed, own)[:, None]
    return Prediction(x0, (x - level.alpha * x0) / level.sigma)


def log_prob(label, x, level):
    logs = jax.nn.log_softmax(log_joint(x, level))
    return jnp.take_along_axis(logs, label[:, None], 1)[:, 0]


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(0), (5, 1))


LABEL = jnp.array([0, 1, 0, 1, 1])
NULL = jnp.full(5, BOTH)


def assert_same(a, b):
    np.testing.assert_allclose(a.x0, b.x0, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(a.noise, b.noise, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('scale', [1.0, 2.5])
def test_guiding_by_bayes_rule_is_guiding_without_a_classifier(x, scale):
    free = guidance.conditioned(denoise, NULL)
    by_classifier = guidance.classifier(free, partial(log_prob, LABEL), scale)(x, LEVEL)
    by_label = guidance.classifier_free(denoise, LABEL, NULL, scale)(x, LEVEL)
    assert_same(by_classifier, by_label)
    if scale == 1:
        assert_same(by_label, denoise(x, LEVEL, LABEL))


def test_predictions_stay_consistent(x):
    for rescale in (0.0, 0.7):
        found = guidance.classifier_free(denoise, LABEL, NULL, 3.0, rescale=rescale)(x, LEVEL)
        np.testing.assert_allclose(LEVEL.alpha * found.x0 + LEVEL.sigma * found.noise, x, atol=1e-5)


def test_both_halves_are_one_call(x):
    sizes = []

    def counting(x, level, label):
        sizes.append(len(x))
        return denoise(x, level, label)

    guidance.classifier_free(counting, LABEL, NULL, 2.0)(x, LEVEL)
    assert sizes == [10]


@pytest.mark.parametrize(('interval', 'guided'), [((0.0, 0.74), False), ((0.74, 0.76), True)])
def test_an_interval_bounds_the_noise_at_which_to_guide(x, interval, guided):
    found = guidance.classifier_free(denoise, LABEL, NULL, 4.0, interval=interval)(x, LEVEL)
    scale = 4.0 if guided else 1.0  # sigma / alpha is 0.75
    assert_same(found, guidance.classifier_free(denoise, LABEL, NULL, scale)(x, LEVEL))


def test_rescaling_brings_the_spread_back():
    x = jax.random.normal(jax.random.key(1), (3, 4, 4, 1))

    def images(x, level, label):
        x0 = 0.5 * x * (1 + label[:, None, None, None])
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    make = partial(guidance.classifier_free, images, jnp.full(3, 1), jnp.zeros(3, int), 5.0)
    own = images(x, LEVEL, jnp.full(3, 1)).x0.std((1, 2, 3))
    free = make()(x, LEVEL).x0.std((1, 2, 3))
    np.testing.assert_allclose(make(rescale=1.0)(x, LEVEL).x0.std((1, 2, 3)), own, rtol=1e-5)
    np.testing.assert_allclose(
        make(rescale=0.5)(x, LEVEL).x0.std((1, 2, 3)), (own + free) / 2, rtol=1e-5
    )


def test_autoguidance_leaves_the_weaker(x):
    strong, weak = (guidance.conditioned(denoise, label) for label in (LABEL, NULL))
    found = guidance.autoguidance(strong, weak, 2.0)(x, LEVEL)
    assert_same(found, guidance.classifier_free(denoise, LABEL, NULL, 2.0)(x, LEVEL))


def test_guidance_without_a_null_class_is_an_error():
    with pytest.raises(UserError, match='needs a null condition'):
        guidance.classifier_free(denoise, LABEL, None, 2.0)
