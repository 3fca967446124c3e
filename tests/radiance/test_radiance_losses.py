"""Losses of radiance fields, against double sums, closed forms and finite differences."""

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxcv.radiance import losses, packed


def ray(rays=5, steps=17, seed=0):
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(0.01, 0.1, (rays, steps + 1)), axis=-1)
    weights = rng.dirichlet(np.ones(steps), rays) * rng.uniform(0.3, 1, (rays, 1))
    return weights.astype(np.float32), edges.astype(np.float32)


def double_sum(weights, edges):
    weights, edges = np.asarray(weights, np.float64), np.asarray(edges, np.float64)
    center = (edges[:, 1:] + edges[:, :-1]) / 2
    apart = abs(center[:, :, None] - center[:, None])
    between = (weights[:, :, None] * weights[:, None] * apart).sum((1, 2))
    return between + (weights**2 * np.diff(edges)).sum(-1) / 3


def test_distortion_is_its_double_sum():
    weights, edges = ray()
    found = jax.jit(losses.distortion)(weights, edges)
    np.testing.assert_allclose(found, double_sum(weights, edges), rtol=1e-5)
    np.testing.assert_allclose(losses.distortion(weights, edges + 50), found, rtol=1e-3)


def test_distortion_of_packed_samples_is_that_of_each_ray():
    weights, edges = ray()
    mask = np.random.default_rng(1).random(weights.shape) < 0.6
    few = jax.jit(packed.pack, static_argnums=2)(mask, edges, 70)
    kept = jnp.asarray(np.pad(weights[mask], (0, 70 - mask.sum())))
    expected = losses.distortion(jnp.where(mask, weights, 0.0), edges)
    np.testing.assert_allclose(jax.jit(losses.packed_distortion)(few, kept), expected, rtol=1e-5)
    slope = jax.jit(jax.grad(lambda w: losses.packed_distortion(few, w).sum()))(kept)
    dense = jax.jit(jax.grad(lambda w: losses.distortion(w, edges).sum()))(weights * mask)
    np.testing.assert_allclose(slope[: mask.sum()], dense[mask], rtol=1e-4, atol=1e-6)


def test_photometric_losses():
    color, truth = np.random.default_rng(0).random((2, 6, 3)).astype(np.float32)
    square = ((color - truth) ** 2).mean(-1)
    np.testing.assert_allclose(losses.squared(color, truth), square, rtol=1e-5)
    expected = optax.losses.huber_loss(color, truth, delta=0.3).mean(-1) / 0.3
    np.testing.assert_allclose(losses.huber(color, truth, 0.3), expected, rtol=1e-5)
    root = np.sqrt((color - truth) ** 2 + 0.25).mean(-1)
    np.testing.assert_allclose(losses.charbonnier(color, truth, 0.5), root, rtol=1e-5)
    for loss in (losses.squared, losses.huber, losses.charbonnier):
        np.testing.assert_allclose(
            jax.grad(lambda x, f=loss: f(x, truth).sum())(truth), 0, atol=1e-6
        )


def test_entropy_is_least_where_rays_are_decided():
    opacity = jnp.array([0.0, 0.5, 1.0, 0.2])
    expected = [0, np.log(2), 0, -0.2 * np.log(0.2) - 0.8 * np.log(0.8)]
    np.testing.assert_allclose(losses.entropy(opacity), expected, atol=3e-5)
    assert np.isfinite(jax.grad(lambda x: losses.entropy(x).sum())(opacity)).all()


def test_depths_that_are_known():
    found = losses.depth_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.5, 0.0, 3.0]))
    np.testing.assert_allclose(found, [0.25, 0, 0])


def test_roughness_of_patches():
    """Explicit sums. Where nothing is seen no depth counts, and opacity gets no gradient."""
    depth, solid = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    expected = [
        sum(
            s[i, j] * s[i + 1, j] * (d[i, j] - d[i + 1, j]) ** 2 for i in range(3) for j in range(5)
        )
        + sum(
            s[i, j] * s[i, j + 1] * (d[i, j] - d[i, j + 1]) ** 2 for i in range(4) for j in range(4)
        )
        for d, s in zip(depth, solid, strict=True)
    ]
    np.testing.assert_allclose(losses.roughness(depth, solid), expected, rtol=1e-5)
    slope = jax.grad(lambda s: losses.roughness(depth, s).sum())(jnp.asarray(solid))
    np.testing.assert_array_equal(slope, 0)
