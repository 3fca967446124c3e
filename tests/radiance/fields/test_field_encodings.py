"""Encodings against closed forms and Monte Carlo."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.radiance.fields import fourier
from jaxcv.radiance.fields.frequency import frequency
from jaxcv.radiance.fields.frustum import conical_frustum


def test_frequencies_are_sines_and_cosines_of_octaves():
    x = np.random.default_rng(0).uniform(-1, 1, (4, 3))
    found = np.asarray(frequency(jnp.asarray(x, jnp.float32), 5)).reshape(4, 2, 5, 3)
    for octave in range(5):
        angle = 2.0**octave * np.pi * x
        np.testing.assert_allclose(found[:, 0, octave], np.sin(angle), atol=2e-5)
        np.testing.assert_allclose(found[:, 1, octave], np.cos(angle), atol=2e-5)


def test_an_integrated_encoding_is_the_mean_over_a_gaussian():
    generator = np.random.default_rng(0)
    mean, variance = generator.uniform(-1, 1, (2, 3)), generator.uniform(0, 0.1, (2, 3))
    # Opposite draws: what is odd about the mean cancels.
    draws = generator.normal(size=(20_000, 1, 3))
    draws = mean + np.concatenate([draws, -draws]) * np.sqrt(variance)
    expected = jax.jit(frequency, static_argnums=1)(jnp.asarray(draws, jnp.float32), 4).mean(0)
    found = frequency(*(jnp.asarray(x, jnp.float32) for x in [mean]), 4, jnp.asarray(variance))
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert np.abs(found).max() > 0.2
    sharp = frequency(jnp.asarray(mean, jnp.float32), 4, jnp.zeros((2, 3)))
    np.testing.assert_array_equal(sharp, frequency(jnp.asarray(mean, jnp.float32), 4))


def frustum_points(direction, start, stop, radius, count=400_000):
    """Uniform in the frustum: distance by the area of its section, then a point of the disk."""
    generator = np.random.default_rng(0)
    distance = np.cbrt(generator.uniform(start**3, stop**3, count))
    spread = radius * distance * np.sqrt(generator.uniform(size=count))
    angle = generator.uniform(0, 2 * np.pi, count)
    length = np.linalg.norm(direction)
    first = np.cross(direction, [0.3, -1, 0.5])
    first /= np.linalg.norm(first)
    second = np.cross(direction / length, first)
    disk = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    return distance[:, None] * direction + spread[:, None] * disk


def test_moments_of_a_frustum_are_those_of_its_points():
    origin = np.array([0.3, -0.2, 1.0])
    for direction, start, stop, radius in [
        (np.array([0.6, 0.0, 0.8]), 1.0, 3.0, 0.3),
        (np.array([1.0, -2.0, 0.5]), 0.0, 1.0, 0.8),  # a whole cone, direction of no unit length
    ]:
        points = origin + frustum_points(direction, start, stop, radius)
        given = (jnp.asarray(x, jnp.float32) for x in (origin, direction, start, stop, radius))
        found = conical_frustum(*given)
        np.testing.assert_allclose(found.mean, points.mean(0), atol=5e-3)
        np.testing.assert_allclose(found.variance, points.var(0), rtol=1e-2)


def test_short_frustums_keep_their_digits():
    """Far and short: the variance along the ray is that of a uniform distribution, and gradients
    are finite."""
    origin, direction = jnp.zeros(3), jnp.asarray([0.0, 0.0, 1.0])

    def variance(stop):
        return conical_frustum(
            origin, direction, jnp.float32(8.0), stop, jnp.float32(1e-3)
        ).variance

    stop = jnp.float32(8.0 + 2**-7)
    np.testing.assert_allclose(variance(stop)[2], 2.0**-14 / 12, rtol=1e-3)
    assert np.isfinite(jax.grad(lambda s: variance(s).sum())(stop))


def test_products_of_fourier_features_are_a_gaussian_kernel():
    scale = 0.7
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    rows = fourier.frequencies(3, 40_000, scale)
    features = np.asarray(fourier.fourier(jnp.asarray(x, jnp.float32), rows))
    squares = np.square(x[:, None] - x).sum(-1)
    expected = np.exp(-2 * np.pi**2 * scale**2 * squares)
    np.testing.assert_allclose(features @ features.T / 40_000, expected, atol=0.02)
    assert (fourier.frequencies(3, 5, 1.0, seed=1) != fourier.frequencies(3, 5, 1.0)).all()
