"""Frechet distance between sets of features (Heusel et al. 2017; Dowson and Landau 1982).

Of the Gaussians that fit them, d² = |m - m'|² + tr(C + C' - 2 (C C')^½). With any roots of the
covariances, C = FᵀF and C' = F'ᵀF', the trace of (C C')^½ is the sum of the singular values of
F F'ᵀ, and the whole is a least-squares problem over rotations (Procrustes):

    d² = |m - m'|² + min over U with UᵀU = 1 of ||F - U F'||²        (Frobenius norm)

so no matrix square root is needed. The centered features are roots themselves: nothing is squared
and nothing cancels, which makes float32 enough, also for fewer samples than dimensions. The
minimum is stationary in U, so the gradient needs none of U.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError
from jaxcv.metrics.moments import Moments, mean_and_covariance


class Gaussian(NamedTuple):
    """N(mean, rootᵀ root)."""

    mean: Float[Array, 'd']
    root: Float[Array, 'r d']  # r <= d


def frechet_distance(x: Float[Array, 'n d'], y: Float[Array, 'm d']) -> Float[Array, '']:
    """The (squared) Frechet distance of two sets of features, as the FID is reported.

    It falls with the counts for the same distributions: compare at equal ones. Differentiable.
    """
    return distance(gaussian(x), gaussian(y))


def gaussian(features: Float[Array, 'n d']) -> Gaussian:
    """The Gaussian of features: their mean, and their covariance with the divisor n - 1."""
    n, d = features.shape
    if n < 2:
        raise UserError(f'a covariance needs at least 2 samples, not {n}')
    features = features.astype(jnp.float32)
    mean = features.mean(0)
    centered = (features - mean) / (n - 1) ** 0.5
    if n <= d:
        return Gaussian(mean, centered)
    # Every distance from here on is that of the centered features, turned: to first order it
    # does not see how they are turned.
    q = jax.lax.stop_gradient(jnp.linalg.qr(centered)[0])
    return Gaussian(mean, _product(q.T, centered))


def from_moments(sums: Moments, origin: Float[Array, 'd'] | float = 0.0) -> Gaussian:
    """The Gaussian of streamed features (`jaxcv.metrics.moments`), about the same origin.

    For more samples than dimensions; of fewer, keep the features, which are the smaller. Directions
    in which the covariance is below the rounding of its largest value are left out. Not
    differentiable.
    """
    mean, covariance = mean_and_covariance(sums, origin)
    values, vectors = jnp.linalg.eigh(jnp.asarray(covariance, jnp.float32))
    noise = jnp.finfo(jnp.float32).eps * values[-1]
    scale = jnp.sqrt(jnp.where(values > noise, values, 0.0))
    return Gaussian(jnp.asarray(mean, jnp.float32), scale[:, None] * vectors.T)


def distance(a: Gaussian, b: Gaussian) -> Float[Array, '']:
    """The squared Frechet (2-Wasserstein) distance of two Gaussians, never negative."""
    if len(a.root) < len(b.root):
        a, b = b, a
    gap = a.root - _product(_alignment(a.root, b.root), b.root)
    return jnp.sum(jnp.square(a.mean - b.mean)) + jnp.sum(jnp.square(gap))


def _alignment(f, g):
    """U [r s] with orthonormal columns (r >= s) that brings the root g [s d] closest to f [r d]."""
    u, _, v = jnp.linalg.svd(_product(f, g.T), full_matrices=False)
    return jax.lax.stop_gradient(_product(u, v))


def _product(a, b):
    """In full float32, where a GPU would multiply in TF32."""
    return jnp.matmul(a, b, precision='highest')
