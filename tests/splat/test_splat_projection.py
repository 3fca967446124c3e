"""Covariances and projections against scipy, closed forms, and sampling."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import splat_dense as dense
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from jaxcv.cameras.projection import project as project_points
from jaxcv.splat.covariance import covariance, rotation
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.projection import BLUR, project, root
from jaxcv.splat.splats import activated


def single(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)


def covariances(roots):
    """Of Gaussians on the screen, in float64."""
    a, b, c = np.moveaxis(np.float64(roots), -1, 0)
    triangle = np.stack([a, b, 0 * a, c], -1).reshape(-1, 2, 2)
    return np.linalg.inv(triangle.swapaxes(1, 2) @ triangle)


def test_covariance_against_scipy():
    splats = dense.scene(count=100)
    turned = Rotation.from_quat(splats.rotations, scalar_first=True).as_matrix()
    np.testing.assert_allclose(rotation(single(splats.rotations)), turned, atol=2e-6)
    expected = turned @ (splats.scales[:, :, None] ** 2 * turned.swapaxes(1, 2))
    found = jax.jit(covariance)(single(splats.rotations), single(splats.scales))
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(found, found.swapaxes(1, 2), atol=1e-7)


def test_quaternions_of_any_length():
    q = single(np.array([[1, 2, -3, 0.5]]))
    for length in (1e-30, 1e-6, 1e6, 1e30):
        np.testing.assert_allclose(rotation(q * length), rotation(q), atol=1e-6)
        slope = jax.grad(lambda q: rotation(q)[0, 0, 1])(q * length)
        # Nothing changes along the quaternion.
        assert np.isfinite(slope).all() and abs(float((slope * q * length).sum())) < 1e-5
    np.testing.assert_array_equal(rotation(jnp.zeros((1, 4)))[0], np.eye(3))
    assert (jax.grad(lambda q: rotation(q).sum())(jnp.zeros((1, 4))) == 0).all()


@pytest.mark.parametrize('model', ['pinhole', 'orthographic', 'fisheye'])
def test_against_the_definition(model):
    splats, camera = dense.scene(count=60), dense.camera(model=model)
    found = jax.jit(project)(single(splats), single(camera))
    with jax.enable_x64(True):
        expected = dense.project(*jax.tree.map(jnp.asarray, (splats, camera)))
        means, blurred, depths, opacities = jax.tree.map(np.asarray, expected)
    np.testing.assert_allclose(found.means, means, atol=1e-4)
    np.testing.assert_allclose(found.depths, depths, rtol=1e-6)
    np.testing.assert_allclose(found.opacities, opacities, rtol=1e-6)
    np.testing.assert_allclose(covariances(found.roots), blurred, rtol=1e-4, atol=1e-4)


def test_small_gaussians_project_like_their_samples():
    """Where the camera is nearly affine, the covariance on the screen is that of the points'
    pixels: through a lens, too."""
    splats = dense.scene(count=5)
    splats.means[:, :2] *= 0.5
    splats.scales[:] = np.exp(np.random.default_rng(1).uniform(-6.5, -5, (5, 3)))
    camera = dense.camera(400, 300)
    camera = single(replace(camera, lens=np.array([0.1, -0.05, 0.01, -0.02])))
    found = project(single(splats), camera)
    generator = np.random.default_rng(0)
    world = np.array(covariance(single(splats.rotations), single(splats.scales)), np.float64)
    for i in range(5):
        points = generator.multivariate_normal(splats.means[i], world[i], 40_000)
        pixels = np.float64(project_points(camera, single(points))[0])
        np.testing.assert_allclose(pixels.mean(0), found.means[i], atol=0.05)
        expected = np.cov(pixels.T) + BLUR * np.eye(2)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(covariances(found.roots)[i] / scale, expected / scale, atol=0.03)


def test_needles_keep_their_digits():
    """The usual a c - b² of these covariances has none in float32."""
    angle = np.linspace(0, np.pi, 50)
    long, thin = 3e4, 1e-2
    along = np.stack([np.cos(angle), np.sin(angle)], -1) * long
    across = np.stack([-np.sin(angle), np.cos(angle)], -1) * thin
    factor = np.float32(np.stack([along, across, 0 * along], -1))
    roots, ratio = root(*(jnp.asarray(factor[:, i]) for i in range(2)))
    exact = np.float64(factor)
    exact = exact @ exact.swapaxes(1, 2)
    # In the frame of the needle, so that float64 has digits to spare.
    expected = np.linalg.inv(exact + BLUR * np.eye(2))
    a, b, c = np.moveaxis(np.float64(roots), -1, 0)
    found = np.stack([a * a, a * b, a * b, b * b + c * c], -1).reshape(-1, 2, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(ratio, thin**2 / (thin**2 + BLUR), rtol=2e-2)


def test_what_is_not_seen():
    splats = dense.scene(count=8)
    splats.means[:, :2], splats.means[:, 2] = 0, [-1, 0, 0.5, 1, 2, 3, np.nan, 1e9]
    splats.opacities[:] = [0.5, 0.5, 0.5, 0.5, 0.5, 0.003, 0.5, 0.5]
    camera = replace(dense.camera(), pose=np.eye(3, 4))
    found = project(single(splats), single(camera), near=0.6, far=1.5)
    np.testing.assert_array_equal(found.opacities > 0, [0, 0, 0, 1, 0, 0, 0, 0])
    assert all(np.isfinite(leaf).all() for leaf in found)
    found = project(single(splats), single(camera), near=-2.0)
    np.testing.assert_array_equal(found.opacities[:2] > 0, [1, 1])


def test_antialiasing_keeps_what_a_splat_covers():
    """Opacity times area does not depend on the blur."""
    splats, camera = single(dense.scene(count=30)), single(dense.camera())
    plain, fading = (project(splats, camera, antialiased=a) for a in (False, True))
    blurred = covariances(plain.roots)
    sharp = np.linalg.det(blurred - BLUR * np.eye(2)) ** 0.5
    ratio = np.asarray(fading.opacities / plain.opacities)
    np.testing.assert_allclose(ratio * np.linalg.det(blurred) ** 0.5, sharp, rtol=1e-2, atol=1e-3)
    assert ratio.min() < 0.5 and ratio.max() > 0.9 and ratio.max() <= 1


def test_activations():
    logits = np.array([-2.0, 0, 3])
    given = Gaussians(np.zeros((3, 3)), np.eye(3), np.eye(3, 4), logits, np.ones((3, 4, 3)))
    splats = activated(single(given))
    np.testing.assert_allclose(splats.scales, np.exp(np.eye(3)), rtol=1e-6)
    np.testing.assert_allclose(splats.opacities, 1 / (1 + np.exp(-logits)), rtol=1e-6)
    assert splats.rotations.shape == (3, 4) and splats.colors.shape == (3, 4, 3)
