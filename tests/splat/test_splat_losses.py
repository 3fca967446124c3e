"""The loss, its penalties, harmonics degree by degree, and rates."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from skimage.metrics import structural_similarity

from jaxcv.splat import Gaussians, rates
from jaxcv.splat.losses import limited, mean_opacity, mean_scale, photometric


def images(count=2, size=16):
    draw = np.random.default_rng(0)
    return draw.uniform(size=(2, count, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize('weight', [0.0, 0.2, 1.0])
def test_photometric(weight):
    color, truth = images()
    found = photometric(color, truth, weight)
    for i in range(2):
        similar = structural_similarity(
            truth[i], color[i], channel_axis=-1, data_range=1, gaussian_weights=True,
            use_sample_covariance=False, sigma=1.5,
        )  # fmt: skip
        expected = (1 - weight) * np.abs(color[i] - truth[i]).mean() + weight * (1 - similar)
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)


def test_what_is_masked_asks_for_nothing():
    color, truth = images()
    masks = np.ones((2, 16, 16), bool)
    masks[0, :, :8] = False
    np.testing.assert_allclose(
        photometric(color, truth, 0.2, np.ones_like(masks)), photometric(color, truth, 0.2)
    )
    slope = jax.grad(lambda x: photometric(x, truth, 0.2, masks).sum())(jnp.asarray(color))
    assert (slope[0, :, :8] == 0).all() and (slope[0, :, 8:] != 0).all() and (slope[1] != 0).all()
    other = np.where(masks[..., None], truth, 0.3)
    np.testing.assert_array_equal(
        photometric(color, truth, 0.2, masks), photometric(color, other, 0.2, masks)
    )


def gaussians(count=6, degree=2):
    draw = np.random.default_rng(1)
    shapes = Gaussians((count, 3), (count, 3), (count, 4), (count,), (count, (degree + 1) ** 2, 3))
    return Gaussians(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))


def test_penalties_are_means_of_those_alive():
    found, alive = gaussians(), np.arange(6) < 4
    found.log_scales[4:], found.opacity_logits[4:] = np.nan, np.inf
    opacity = 1 / (1 + np.exp(-found.opacity_logits[:4]))
    np.testing.assert_allclose(mean_opacity(found, alive), opacity.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        mean_scale(found, alive), np.exp(found.log_scales[:4]).mean(), rtol=1e-5
    )
    slope = jax.grad(lambda x: mean_opacity(x, alive))(jax.tree.map(jnp.asarray, found))
    np.testing.assert_allclose(slope.opacity_logits[:4], opacity * (1 - opacity) / 4, rtol=1e-4)
    assert (slope.opacity_logits[4:] == 0).all()


def test_harmonics_come_degree_by_degree():
    harmonics = gaussians().sh
    for degree, count in ((0, 1), (1, 4), (2, 9), (7, 9)):
        found = jax.jit(limited)(harmonics, degree)
        np.testing.assert_array_equal(found[:, :count], harmonics[:, :count])
        assert (found[:, count:] == 0).all()


def test_rates():
    """Those of means fall exponentially, in extents of the scene."""
    eyes = np.array([[2, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0.0]])
    assert rates.extent(eyes) == pytest.approx(2.2)
    known = rates.Rates(means=1e-3, means_end=0.01)
    for progress, factor in ((0, 1), (0.5, 0.1), (1, 0.01)):
        pace = rates.at(known, progress, extent=2.0, coefficients=4)
        np.testing.assert_allclose(pace.means, 2e-3 * factor, rtol=1e-5)
    np.testing.assert_allclose(pace.sh[:, 0], [2.5e-3, 1.25e-4, 1.25e-4, 1.25e-4])
    jax.tree.map(lambda x, rate: np.broadcast_shapes(x.shape, rate.shape), gaussians(4, 1), pace)
