"""Samples along rays, against inverse distribution functions in closed form and in numpy."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.radiance import sampling


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def histogram(rays, count, seed=0):
    """Edges and weights, some of which are 0."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(0.1, 1.0, (rays, count + 1)), axis=-1)
    weights = rng.uniform(0, 1, (rays, count)) * (rng.random((rays, count)) > 0.3)
    return edges.astype(np.float32), weights.astype(np.float32)


def test_spacings_are_even_in_their_variable():
    s = jnp.linspace(0, 1, 9)[None]
    near, far = jnp.array([0.5]), jnp.array([8.0])
    for name, function in {
        'uniform': lambda t: t,
        'disparity': lambda t: 1 / t,
        'log': np.log,
    }.items():
        t = np.asarray(sampling.distances(s, near, far, name))
        np.testing.assert_allclose(t[0, [0, -1]], [0.5, 8.0], rtol=1e-5)
        steps = np.diff(function(t[0]))
        np.testing.assert_allclose(steps, steps.mean(), rtol=1e-4)
        np.testing.assert_allclose(sampling.positions(t, near, far, name), s, atol=1e-6)
    beyond = sampling.distances(s, near, jnp.array([jnp.inf]), 'disparity')
    np.testing.assert_allclose(beyond[0, :-1], 0.5 / (1 - s[0, :-1]), rtol=1e-5)
    assert jnp.isinf(beyond[0, -1])
    with pytest.raises(UserError, match="did you mean 'log'"):
        sampling.distances(s, near, far, 'logg')


def test_stratified_edges_fill_the_interval_and_stay_in_their_strata():
    plain = sampling.stratified(3, 8)
    np.testing.assert_allclose(plain, np.tile(np.arange(9) / 8, (3, 1)), atol=1e-7)
    edges = np.asarray(sampling.stratified(2000, 8, keys(2000)))
    np.testing.assert_array_equal(edges[:, [0, -1]], np.tile([0.0, 1.0], (2000, 1)))
    shift = (edges * 8 - np.arange(9))[:, 1:-1]
    assert (abs(shift) <= 0.5 + 1e-5).all()
    np.testing.assert_allclose(shift.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(shift.var(0), 1 / 12, rtol=0.1)


def test_randomness_belongs_to_the_ray():
    edges, weights = histogram(6, 5)
    for function in (
        lambda e, w, k: sampling.stratified(len(k), 4, k),
        lambda e, w, k: sampling.resample(e, w, 7, k),
        lambda e, w, k: sampling.paced(e[:, 0], e[:, -1], 0.3, 20, k),
    ):
        whole = function(edges, weights, keys(6))
        part = function(edges[4:], weights[4:], keys(6)[4:])
        np.testing.assert_allclose(whole[4:], part, rtol=1e-6)
        assert (whole[0] != whole[1]).any()


def test_paced_steps_have_one_size_and_reach_far():
    near, far = jnp.array([1.0, 2.0, 0.0]), jnp.array([3.0, 2.0, 9.0])
    plain = np.asarray(sampling.paced(near, far, 0.5, 6))
    np.testing.assert_allclose(plain[0], [1, 1.5, 2, 2.5, 3, 3, 3])
    np.testing.assert_array_equal(plain[1], np.full(7, 2.0))
    np.testing.assert_allclose(plain[2], np.arange(7) * 1.5)  # longer, rather than cut
    jittered = np.asarray(sampling.paced(near, far, 0.5, 6, keys(3)))
    np.testing.assert_allclose(jittered[:, 0], near)
    np.testing.assert_allclose(jittered[:, -1], far, rtol=1e-6)
    steps = np.diff(jittered)
    assert 0 < steps[0, 0] < 0.5
    np.testing.assert_allclose(steps[0, 1:4], 0.5, rtol=1e-5)
    np.testing.assert_allclose(steps[2, 1:], steps[2, 1], rtol=1e-5)


def test_draws_of_a_linear_density_are_its_inverse():
    """With density 2 t on [0, 1] the inverse distribution function is sqrt(u), and between the
    edges of a fine histogram nearly so."""
    edges = jnp.linspace(0, 1, 201)[None]
    weights = jnp.diff(edges**2, axis=-1)
    draws, _ = sampling.inverse_cdf(edges, 3 * weights, 10)
    np.testing.assert_allclose(draws[0], np.sqrt((np.arange(10) + 0.5) / 10), atol=2e-4)


@pytest.mark.parametrize('jitter', [False, True])
def test_draws_are_the_inverse_of_the_distribution(jitter):
    edges, weights = histogram(5, 12)
    draws, places = sampling.inverse_cdf(edges, weights, 33, keys(5) if jitter else None)
    draws, places = np.asarray(draws), np.asarray(places)
    for ray in range(5):
        cdf = np.concatenate([[0], np.cumsum(weights[ray], dtype=np.float64)])
        stratum = np.interp(draws[ray], edges[ray], cdf / cdf[-1]) * 33 - np.arange(33)
        assert (np.diff(draws[ray]) >= 0).all()
        if jitter:
            assert (stratum > -1e-3).all() and (stratum < 1 + 1e-3).all()
            assert stratum.std() > 0.1
        else:
            np.testing.assert_allclose(stratum, 0.5, atol=1e-3)
        assert (weights[ray][places[ray]] > 0).all()
        assert (edges[ray][places[ray]] <= draws[ray]).all()
        assert (draws[ray] <= edges[ray][places[ray] + 1]).all()


def test_draws_of_nothing_are_even():
    edges = jnp.linspace(2, 6, 9)[None]
    draws, _ = sampling.inverse_cdf(edges, jnp.zeros((1, 8)), 4)
    np.testing.assert_allclose(draws[0], [2.5, 3.5, 4.5, 5.5], rtol=1e-5)


def test_resampled_intervals_lie_around_their_draws():
    edges, weights = histogram(4, 6, seed=1)
    draws = np.asarray(sampling.inverse_cdf(edges, weights, 9)[0])
    found = np.asarray(sampling.resample(edges, weights, 9))
    middle = (draws[:, 1:] + draws[:, :-1]) / 2
    np.testing.assert_allclose(found[:, 1:-1], middle, rtol=1e-6)
    first = np.maximum(draws[:, 0] - (middle[:, 0] - draws[:, 0]), edges[:, 0])
    np.testing.assert_allclose(found[:, 0], first, rtol=1e-5)
    last = np.minimum(draws[:, -1] + (draws[:, -1] - middle[:, -1]), edges[:, -1])
    np.testing.assert_allclose(found[:, -1], last, rtol=1e-5)
    even = sampling.resample(jnp.array([[0.0, 1.0]]), jnp.ones((1, 1)), 4)
    np.testing.assert_allclose(even[0], np.arange(5) / 4, atol=1e-6)


def test_refined_edges_are_the_sorted_union():
    edges, weights = histogram(20, 8, seed=2)
    draws, _ = sampling.inverse_cdf(edges, weights, 11, keys(20))
    found = jax.jit(sampling.refine, static_argnums=2)(edges, weights, 11, keys(20))
    np.testing.assert_allclose(found, np.sort(np.concatenate([edges, draws], -1), -1), rtol=1e-6)


def test_positions_have_no_gradient():
    edges, weights = histogram(3, 8)

    def total(edges, weights):
        coarse = sampling.resample(edges, weights, 5, keys(3))
        return coarse.sum() + sampling.refine(edges, weights, 5, keys(3)).sum()

    for slope in jax.jit(jax.grad(total, (0, 1)))(edges, weights):
        np.testing.assert_array_equal(slope, 0)


def test_blurred_weights_bound_the_weights_and_their_neighbors():
    weights = np.array([[0.0, 0.0, 1.0, 0.0, 0.25]], np.float32)
    expected = np.array([[0.0, 0.5, 1.0, 0.625, 0.25]]) + 0.01
    np.testing.assert_allclose(sampling.blur(weights), expected, rtol=1e-6)


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize('count', [1, 7, 8, 9])
def test_search_is_that_of_numpy(side, count):
    rng = np.random.default_rng(count)
    ordered = np.sort(rng.integers(0, 6, (4, count)), -1).astype(np.float32)
    values = rng.integers(-1, 8, (4, 11)).astype(np.float32)
    expected = [np.searchsorted(a, b, side) for a, b in zip(ordered, values, strict=True)]
    np.testing.assert_array_equal(sampling.search(ordered, values, side), expected)
