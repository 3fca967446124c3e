"""Sharing a place: the sum of the paper, the integral it stands for, and pictures; noise."""

import math

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp
from scipy.integrate import quad

from jaxcv.cameras import make
from jaxcv.splat import Gaussians, covariance, rasterize
from jaxcv.splat.mcmc import disturbed, relocated, shared
from jaxcv.splat.population import Population, drawn, each, populated

ADAM = optax.scale_by_adam()
OPACITIES, COUNTS = (0.006, 0.1, 0.5, 0.9, 0.999), (1, 2, 3, 7, 51)
move = jax.jit(relocated)


def stated(opacity, count):
    """Equation 9, as it is written."""
    each = 1 - (1 - opacity) ** (1 / count)
    total = math.fsum(
        math.comb(i - 1, k) * (-1) ** k / math.sqrt(k + 1) * each ** (k + 1)
        for i in range(1, count + 1)
        for k in range(i)
    )
    return each, opacity / total


@pytest.mark.parametrize('opacity', OPACITIES)
def test_shares_are_those_of_the_paper(opacity):
    found = shared(jnp.full(len(COUNTS), opacity), jnp.array(COUNTS))
    expected = [stated(float(np.float32(opacity)), count) for count in COUNTS]
    np.testing.assert_allclose(np.stack(found, -1), expected, rtol=1e-4)


@pytest.mark.parametrize('opacity', OPACITIES)
def test_together_they_look_like_the_one(opacity):
    """Rendered along a line: the same in the middle, and the same in total, for any number."""
    counts = np.array([1, 2, 10, 1000])
    each, factor = shared(jnp.full(4, opacity), jnp.asarray(counts))
    np.testing.assert_allclose(1 - (1 - np.float64(each)) ** counts, opacity, rtol=1e-3)
    for count, one, scale in zip(counts, np.float64(each), np.float64(factor), strict=True):
        hidden = lambda x: 1 - (1 - one * np.exp(-(x**2) / (2 * scale**2))) ** count  # noqa: B023, E731
        total = quad(hidden, -30, 30, limit=500, points=[0])[0]
        assert total == pytest.approx(opacity * math.sqrt(2 * math.pi), rel=1e-3)


def population(opacities, scale=0.2):
    count = len(opacities)
    draw = np.random.default_rng(0)
    shapes = Gaussians((count, 3), (count, 3), (count, 4), (count,), (count, 1, 3))
    gaussians = Gaussians(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))
    opacities = np.asarray(opacities)
    gaussians.log_scales[:] = np.log(scale)
    gaussians.opacity_logits[:] = np.log(opacities / (1 - opacities))
    made = populated(gaussians, ADAM)
    return made._replace(opt=each(lambda kept: jax.tree.map(jnp.ones_like, kept), made.opt))


def test_the_faint_go_where_others_are():
    before = population([0.001, 0.5, 0.002, 0.8, 0.3])
    after = move(before, jax.random.key(0))
    assert after.alive.all()
    stays = np.asarray(before.gaussians.means)[[1, 3, 4]]
    for i in (0, 2):
        place = np.flatnonzero((np.asarray(after.gaussians.means[i]) == stays).all(1))
        assert len(place) == 1
        source = [1, 3, 4][place[0]]
        for found in after.gaussians:
            np.testing.assert_array_equal(found[i], found[source])
        for moments in (after.opt.mu, after.opt.nu):
            assert all((x[jnp.array([i, source])] == 0).all() for x in jax.tree.leaves(moments))
    alone = [i for i in (1, 3, 4) if (after.opt.mu.means[i] == 1).all()]
    assert alone  # two go to two of three at most
    for old, new in zip(before.gaussians, after.gaussians, strict=True):
        np.testing.assert_array_equal(old[np.array(alone)], new[np.array(alone)])


def test_they_choose_by_opacity():
    count = 6000
    opacities = np.full(count, 0.001)
    opacities[:3] = 0.9, 0.45, 0.15
    after = move(population(opacities), jax.random.key(1))
    means = np.asarray(after.gaussians.means)
    share = [(means[3:] == means[i]).all(1).mean() for i in range(3)]
    np.testing.assert_allclose(share, [0.6, 0.3, 0.1], atol=0.02)
    # Two thousand in one place: each is as faint as one may be.
    assert np.isfinite(jax.tree.leaves(after.gaussians)[1]).all()
    np.testing.assert_allclose(jax.nn.sigmoid(after.gaussians.opacity_logits[0]), 0.005, rtol=1e-4)


def test_the_picture_stays():
    """Seven in the place of one, in front of a camera."""
    before = population([0.9] + [0.001] * 6)
    before = before._replace(gaussians=before.gaussians._replace(means=jnp.zeros((7, 3))))
    camera = make(jnp.eye(3, 4).at[2, 3].set(3.0), 60.0, 33, 33)

    @jax.jit
    def alpha(found):
        return rasterize(drawn(found.gaussians, found.alive), camera, capacity=1024).alpha

    old, new = alpha(before), alpha(move(before, jax.random.key(0)))
    assert old[16, 16] == pytest.approx(0.9, abs=0.01)
    assert new[16, 16] == pytest.approx(float(old[16, 16]), abs=0.01)
    assert new[16].sum() == pytest.approx(float(old[16].sum()), rel=0.03)  # along a line


def test_some_are_added():
    before = population([0.5] * 8)
    before = before._replace(alive=jnp.arange(8) < 4)
    for added in (0, 3):
        after = move(before, jax.random.key(0), added)
        np.testing.assert_array_equal(after.alive, np.arange(8) < 4 + added)
    places = np.asarray(before.gaussians.means[:4])
    assert all((np.asarray(mean) == places).all(1).any() for mean in after.gaussians.means[:7])


def test_where_nobody_is_seen_nobody_moves():
    before = population([0.001] * 4)
    jax.tree.map(np.testing.assert_array_equal, before, move(before, jax.random.key(0), 1))


def test_noise_has_the_shape_of_the_gaussian_unless_it_is_opaque():
    count = 4000
    one = population([0.001]).gaussians._replace(log_scales=jnp.log(jnp.array([[1, 0.5, 0.1]])))
    many = jax.tree.map(lambda x: jnp.repeat(x, count, axis=0), one)
    moved = np.asarray(disturbed(many, jax.random.key(0), 2.0).means - one.means)
    shape = np.asarray(covariance.covariance(one.rotations, jnp.exp(one.log_scales))[0])
    gate = 2 / (1 + math.exp(-100 * (0.005 - 0.001)))
    np.testing.assert_allclose(moved.T @ moved / count, gate**2 * shape @ shape, atol=0.1)
    np.testing.assert_allclose(moved.mean(0), 0, atol=0.1)
    opaque = one._replace(opacity_logits=jnp.array([2.0]))
    np.testing.assert_allclose(
        disturbed(opaque, jax.random.key(0), 2.0).means, one.means, atol=1e-6
    )


def test_what_is_not_alive_stays_out():
    found = population([0.001, 0.5, 0.9])
    found = Population(found.gaussians, found.opt, jnp.array([True, True, False]))
    after = move(found, jax.random.key(0))
    np.testing.assert_array_equal(after.alive, found.alive)
    np.testing.assert_array_equal(after.gaussians.means[0], found.gaussians.means[1])
