"""Volume rendering, against integrals in closed form and finite differences."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.radiance import volume


def scene(rays=4, samples=12, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    density = rng.gamma(0.5, 2.0, (rays, samples)) * (rng.random((rays, samples)) > 0.2)
    values = rng.random((rays, samples, 3))
    edges = np.cumsum(rng.uniform(0.05, 0.4, (rays, samples + 1)), axis=-1)
    return tuple(jnp.asarray(x, dtype) for x in (density, values, edges))


def test_constant_density_is_beer_lambert():
    """Opacity 1 - exp(-d L), mean depth 1/d - L exp(-d L) / (1 - exp(-d L)), whatever the edges."""
    edges = jnp.sort(jax.random.uniform(jax.random.key(0), (2, 1001)), axis=-1)
    edges = 2 + 3 * edges.at[:, 0].set(0.0).at[:, -1].set(1.0)
    density = jnp.broadcast_to(jnp.array([[0.3], [2.0]]), (2, 1000))
    found = jax.jit(volume.render)(density, jnp.ones((2, 1000, 1)), edges)
    d = np.array([0.3, 2.0])
    opacity = 1 - np.exp(-3 * d)
    np.testing.assert_allclose(found.opacity, opacity, atol=1e-5)
    np.testing.assert_allclose(found.values[:, 0], opacity, atol=1e-5)
    np.testing.assert_allclose(found.depth, 2 + 1 / d - 3 * (1 - opacity) / opacity, atol=1e-4)
    np.testing.assert_allclose(found.median, 2 - np.log(1 - opacity / 2) / d, atol=1e-4)


def test_exponential_density_and_color():
    """density exp(-t), color exp(-t): with c = exp(-t) and f = 1 - exp(-(1 - c)) the ray gathers
    the integral of c exp(-(1 - c)) dc from c(far) to 1."""
    edges = jnp.linspace(0, 4, 2001)[None]
    center = (edges[:, 1:] + edges[:, :-1]) / 2
    falling = jnp.exp(-center)
    found = volume.render(falling, falling[..., None], edges)
    end = np.exp(-4.0)
    np.testing.assert_allclose(found.opacity, 1 - np.exp(end - 1), atol=1e-4)
    np.testing.assert_allclose(found.values[0, 0], (1 - 1) - (end - 1) * np.exp(end - 1), atol=1e-4)
    half = (1 - np.exp(end - 1)) / 2
    np.testing.assert_allclose(found.median, -np.log(1 + np.log(1 - half)), atol=1e-4)


def test_weights_and_what_passes_sum_to_one():
    density, values, edges = scene(64, 200)
    found = volume.render(20 * density, values, edges)
    passed = jnp.exp(-(20 * density * jnp.diff(edges)).sum(-1))
    np.testing.assert_allclose(found.weights.sum(-1) + passed, 1, atol=3e-6)
    np.testing.assert_allclose(found.opacity + passed, 1, atol=1e-6)
    np.testing.assert_allclose(volume.weigh(20 * density, edges), found.weights, rtol=1e-5)
    thin = volume.weigh(jnp.full((1, 3), 1e-9), jnp.arange(4.0)[None])
    np.testing.assert_allclose(thin, 1e-9, rtol=1e-5)  # 1 - exp(-1e-9) would be 0


def test_weights_are_those_of_the_sum_in_float64():
    density, values, edges = (np.asarray(x, np.float64) for x in scene(8, 50))
    optical = density * np.diff(edges)
    before = np.cumsum(optical, -1) - optical
    weights = np.exp(-before) * (1 - np.exp(-optical))
    found = volume.render(*(jnp.asarray(x, jnp.float32) for x in (density, values, edges)))
    np.testing.assert_allclose(found.weights, weights, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.values, np.einsum('rs,rsc->rc', weights, values), rtol=1e-5)
    center = (edges[:, 1:] + edges[:, :-1]) / 2
    depth = (weights * center).sum(-1) / weights.sum(-1)
    np.testing.assert_allclose(found.depth, depth, rtol=1e-5)


def test_an_infinite_last_interval_is_opaque():
    edges = jnp.array([[0.0, 1.0, 2.0, jnp.inf]] * 2)
    density = jnp.array([[0.0, 0.5, 0.1], [0.0, 0.5, 0.0]])
    values = jnp.arange(6.0).reshape(2, 3, 1)

    def color(density, edges):
        return volume.render(density, values, edges).values.sum()

    found = volume.render(density, values, edges)
    left = np.exp(-0.5)
    np.testing.assert_allclose(found.weights, [[0, 1 - left, left], [0, 1 - left, 0]], rtol=1e-5)
    np.testing.assert_allclose(found.opacity, [1, 1 - left], rtol=1e-5)
    np.testing.assert_allclose(found.depth, [1.5 * (1 - left) + 2 * left, 1.5], rtol=1e-5)
    assert np.isfinite(found.median).all()
    slope = jax.grad(color)(density, edges)
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope[0, 1], left * (1 - 2), rtol=1e-5)


def test_rays_that_meet_nothing():
    density, values, edges = scene()

    def total(density):
        found = volume.render(density, values, edges)
        return found.depth.sum() + found.median.sum() + found.values.sum(), found

    (_, found), slope = jax.value_and_grad(total, has_aux=True)(0 * density)
    for x in (found.values, found.opacity, found.depth, found.median):
        np.testing.assert_array_equal(x, 0)
    assert np.isfinite(slope).all()


def test_the_median_is_where_half_of_the_opacity_is_reached():
    density, values, edges = scene(16, 30)
    median = np.asarray(volume.render(density, values, edges).median)
    optical = np.cumsum(np.asarray(density * jnp.diff(edges)), -1, dtype=np.float64)
    optical = np.pad(optical, ((0, 0), (1, 0)))
    for ray in range(16):
        reached = 1 - np.exp(-np.interp(median[ray], edges[ray], optical[ray]))
        np.testing.assert_allclose(reached, (1 - np.exp(-optical[ray, -1])) / 2, rtol=1e-4)


def test_gradients_are_finite_differences():
    with jax.enable_x64(True):
        density, values, edges = scene(2, 5, dtype=np.float64)
        density = density + 0.1  # a derivative from one side at 0 is none
        target = jnp.asarray(np.random.default_rng(1).random((2, 3)))

        @jax.jit
        def loss(density, values, edges):
            found = volume.render(density, values, edges, jnp.array([0.2, 0.5, 0.9]))
            depth = jnp.square(found.depth - 1).sum() + jnp.square(found.median - 1).sum()
            return jnp.square(found.values - target).sum() + depth + found.opacity.sum()

        slopes = jax.grad(loss, (0, 1, 2))(density, values, edges)
        inputs = (density, values, edges)
        for i, slope in enumerate(slopes):
            way = jnp.asarray(np.random.default_rng(i).normal(size=slope.shape))

            def at(step, i=i, way=way):
                return loss(*(x + step * way if j == i else x for j, x in enumerate(inputs)))

            expected = (at(1e-6) - at(-1e-6)) / 2e-6
            np.testing.assert_allclose((slope * way).sum(), expected, rtol=1e-6)


def test_truth_and_rays_are_composited_on_the_same_background():
    density, values, edges = scene(5)
    keys = jax.random.split(jax.random.key(0), 5)
    plain = volume.render(density, values, edges)
    straight = plain.values / plain.opacity[:, None]
    rgba = jnp.concatenate([straight, plain.opacity[:, None]], axis=-1)
    for name in volume.BACKGROUNDS:
        behind = volume.backdrop(name, keys)
        assert behind.shape == (5, 3)
        found = volume.render(density, values, edges, behind)
        np.testing.assert_allclose(found.values, volume.composite(rgba, behind), rtol=1e-5)
    empty = volume.render(0 * density, values, edges, jnp.ones(3))
    np.testing.assert_array_equal(empty.values, 1)
    drawn = volume.backdrop('random', keys)
    np.testing.assert_array_equal(volume.backdrop('random', keys[3:]), drawn[3:])
    assert len(np.unique(drawn)) == 15
    with pytest.raises(UserError, match='the background'):
        volume.backdrop('pink', keys)


def test_normals_point_away_from_what_is_dense():
    points = jax.random.normal(jax.random.key(0), (10, 3))
    found = volume.normals(lambda x: jnp.exp(-jnp.square(x).sum(-1)), points)
    np.testing.assert_allclose(found, points / jnp.linalg.norm(points, axis=-1)[:, None], rtol=1e-5)
    flat = jax.jacobian(lambda x: volume.normals(lambda y: 0 * y[:, 0] + 1.0, x))(points)
    np.testing.assert_array_equal(flat, 0)
