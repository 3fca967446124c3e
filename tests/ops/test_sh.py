"""Spherical harmonics against scipy, and on the whole sphere."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy.special import sph_harm_y

from jaxcv.errors import UserError
from jaxcv.ops import sh


def directions(count=200, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def scipy_basis(x, degree):
    """Real harmonics from complex ones, both with the Condon-Shortley phase."""
    polar, azimuth = np.arccos(x[:, 2]), np.arctan2(x[:, 1], x[:, 0])
    columns = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            value = sph_harm_y(band, abs(order), polar, azimuth)
            part = value.imag if order < 0 else value.real
            columns.append(part * (2**0.5 if order else 1))
    return np.stack(columns, -1)


@pytest.mark.parametrize('degree', range(5))
def test_against_scipy(degree):
    x = directions()
    found = sh.basis(jnp.asarray(x, jnp.float32), degree)
    assert found.shape == (200, sh.size(degree)) and sh.degree(found.shape[-1]) == degree
    np.testing.assert_allclose(found, scipy_basis(x, degree), atol=2e-6)


def test_orthonormal():
    """Gauss-Legendre times equal angles integrates products up to degree 8 exactly."""
    heights, weights = np.polynomial.legendre.leggauss(10)
    angles = np.arange(20) * np.pi / 10
    z, angle = np.meshgrid(heights, angles, indexing='ij')
    across = np.sqrt(1 - z * z)
    x = np.stack([across * np.cos(angle), across * np.sin(angle), z], -1)
    values = np.asarray(sh.basis(jnp.asarray(x, jnp.float32), 4), np.float64)
    products = np.einsum('ija,ijb,i->ab', values, values, weights * np.pi / 10)
    np.testing.assert_allclose(products, np.eye(25), atol=1e-6)


def test_evaluate():
    x = jnp.asarray(directions(30), jnp.float32)
    coefficients = jax.random.normal(jax.random.key(0), (30, 9, 3))
    found = sh.evaluate(coefficients, x)
    expected = np.einsum('nk,nkc->nc', sh.basis(x, 2), coefficients)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(UserError, match='5 coefficients fit no degree'):
        sh.evaluate(coefficients[:, :5], x)
    with pytest.raises(UserError, match='degree 5'):
        sh.basis(x, 5)
