"""Proposals: histograms against brute force, and a round that finds where a scene is."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.radiance import proposal, sampling
from jaxcv.radiance.proposal import Histogram


def histogram(rays, count, seed, places=None):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.random((rays, count + 1)), -1)
    if places:  # edges that coincide with those of others
        edges = np.sort(rng.integers(0, places, (rays, count + 1)) / places, -1)
    weights = rng.dirichlet(np.ones(count), rays) * (edges[:, 1:] > edges[:, :-1])
    return Histogram(jnp.asarray(edges, jnp.float32), jnp.asarray(weights, jnp.float32))


def test_proposals_gather_where_the_density_is():
    rays = 5
    near, far = jnp.full(rays, 2.0), jnp.full(rays, 6.0)
    keys = jax.random.split(jax.random.key(0), rays)

    def density(edges):
        center = (edges[:, 1:] + edges[:, :-1]) / 2
        return jnp.where(jnp.abs(center - 5) < 0.2, 30.0, 0.0)

    @jax.jit
    def run(anneal):
        return proposal.propose(
            [density, density], [64, 32, 16], near, far, keys=keys, anneal=anneal
        )

    edges, rounds = run(1.0)
    assert edges.shape == (rays, 17) and [r.weights.shape[1] for r in rounds] == [64, 32]
    t = sampling.distances(edges, near, far)
    assert (t > 4.7).all() and (t < 5.3).all() and (jnp.diff(t) > 0).all()
    np.testing.assert_allclose(rounds[0].weights.sum(-1), 1, atol=1e-3)
    even, _ = run(0.0)  # power 0: all intervals count the same
    assert (even[:, 0] < 0.1).all() and (even[:, -1] > 0.9).all()
    with pytest.raises(UserError, match='2 proposal networks need 3'):
        proposal.propose([density, density], [64, 32], near, far)


def test_proposals_learn_from_their_histograms_alone():
    near, far = jnp.ones(3), jnp.full(3, 2.0)

    def total(scale):
        edges, rounds = proposal.propose([lambda t: scale * t[:, 1:]], [8, 4], near, far)
        return edges.sum(), rounds[0].weights.sum()

    edges, weights = jax.jit(jax.jacobian(total))(1.0)
    assert edges == 0 and weights > 0.1


def test_annealing_goes_from_even_to_itself():
    np.testing.assert_allclose(
        proposal.annealing(jnp.array([0, 0.1, 1.0])), [0, 1 / 1.9, 1], rtol=1e-6
    )


@pytest.mark.parametrize('places', [None, 6])
def test_the_interlevel_loss_is_that_of_a_brute_force_bound(places):
    field, cheap = histogram(9, 7, 0, places), histogram(9, 12, 1, places)

    def brute(weights):
        start, end = (e[:, :, None] for e in (field.edges[:, :-1], field.edges[:, 1:]))
        first, last = (e[:, None] for e in (cheap.edges[:, :-1], cheap.edges[:, 1:]))
        bound = jnp.where((first < end) & (last > start), weights[:, None], 0.0).sum(-1)
        excess = jnp.maximum(field.weights - bound, 0.0)
        return (jnp.square(excess) / (field.weights + 1e-7)).sum(-1)

    def found(weights):
        return proposal.interlevel(field, cheap._replace(weights=weights))

    assert (brute(cheap.weights) > 0.01).any()
    np.testing.assert_allclose(
        jax.jit(found)(cheap.weights), brute(cheap.weights), rtol=1e-3, atol=1e-6
    )
    slopes = [jax.jit(jax.grad(lambda w, f=f: f(w).sum()))(cheap.weights) for f in (found, brute)]
    np.testing.assert_allclose(*slopes, rtol=1e-3, atol=1e-5)


def test_a_histogram_bounds_itself_and_what_is_coarser():
    cheap = histogram(6, 12, 2)
    np.testing.assert_allclose(proposal.interlevel(cheap, cheap), 0, atol=1e-6)
    coarse = Histogram(cheap.edges[:, ::3], cheap.weights.reshape(6, 4, 3).sum(-1))
    np.testing.assert_allclose(proposal.interlevel(coarse, cheap), 0, atol=1e-6)
    away = Histogram(cheap.edges + 2, cheap.weights)
    np.testing.assert_allclose(proposal.interlevel(away, cheap), away.weights.sum(-1), rtol=1e-4)


@pytest.mark.parametrize('name', ['interlevel', 'blurred'])
def test_only_the_proposal_learns(name):
    field, cheap = histogram(4, 5, 0), histogram(4, 8, 1)
    loss = proposal.interlevel
    if name == 'blurred':
        loss = lambda *x: proposal.blurred_interlevel(*x, 0.05)  # noqa: E731
    slopes = jax.grad(lambda *x: loss(*x).sum(), (0, 1))(field, cheap)
    for slope in slopes[0]:
        np.testing.assert_array_equal(slope, 0)
    assert abs(slopes[1].weights).max() > 0


def test_the_blurred_loss_is_that_of_a_density_blurred_on_a_fine_grid():
    field, cheap, radius = histogram(3, 4, 3), histogram(3, 6, 4), 0.1
    fine = np.linspace(-0.5, 1.5, 40001)
    for ray in range(3):
        edges, weights = (np.asarray(x[ray], np.float64) for x in field)
        below = np.interp(fine, edges, np.concatenate([[0], np.cumsum(weights)]))
        # The distribution after a blur by a box is the moving mean of that before.
        width = round(2 * radius / (fine[1] - fine[0])) + 1
        mean = np.convolve(below, np.full(width, 1 / width), 'same')
        places = np.asarray(cheap.edges[ray], np.float64)
        blurred = np.diff(np.interp(places, fine, mean))
        own = np.asarray(cheap.weights[ray], np.float64)
        expected = (np.maximum(blurred - own, 0) ** 2 / (own + 1e-7)).sum()
        found = proposal.blurred_interlevel(field, cheap, radius)[ray]
        np.testing.assert_allclose(found, expected, rtol=2e-3)
