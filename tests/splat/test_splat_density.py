"""Doubling, splitting and removing, row by row; rows that are not there."""

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxcv.cameras import look_at, make
from jaxcv.splat import Gaussians, covariance, rasterize
from jaxcv.splat.density import Control, Demand, controlled, demand, dimmed
from jaxcv.splat.population import Population, drawn, each, grown, offspring, populated

ADAM = optax.scale_by_adam()
CONTROL = Control(gradient=1.0, dense=0.1, faint=0.01, large=2.0)
change = jax.jit(controlled, static_argnames='control')


def population(count=8, alive=5, seed=0):
    """Small, opaque and moving: every moment is 1."""
    draw = np.random.default_rng(seed)
    shapes = Gaussians((count, 3), (count, 3), (count, 4), (count,), (count, 4, 3))
    gaussians = Gaussians(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))
    gaussians.log_scales[:] = np.log(0.01) + 0.1 * gaussians.log_scales
    gaussians.opacity_logits[:] = 1.0
    made = populated(gaussians, ADAM)
    opt = each(lambda kept: jax.tree.map(jnp.ones_like, kept), made.opt)
    return Population(made.gaussians, opt, jnp.arange(count) < alive)


def keys(count=8):
    return jax.random.split(jax.random.key(1), count)


def asking(rows, count=8, strength=3.0, views=2.0):
    total = np.zeros(count, np.float32)
    total[rows] = strength * views
    return Demand(jnp.asarray(total), jnp.full(count, views))


def row(tree, index):
    return [np.asarray(x[index]) for x in jax.tree.leaves(tree)]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_who_is_not_asked_for_stays_as_it_is():
    before = population()
    after, overflow = change(before, asking([]), CONTROL, 1.0, keys())
    assert overflow == 0
    jax.tree.map(np.testing.assert_array_equal, before, after)
    # The threshold is of the mean over the views that saw it, and an unseen one has none.
    weak = asking([0, 1], strength=0.99)
    unseen = Demand(weak.total, weak.views.at[0].set(0))
    assert change(before, weak, CONTROL, 1.0, keys())[0].alive.sum() == 5
    assert change(before, unseen, CONTROL, 1.0, keys())[0].alive.sum() == 6


def test_a_small_one_is_doubled():
    """One more, its copy but without moments."""
    before = population()
    after, overflow = change(before, asking([2]), CONTROL, 1.0, keys())
    assert overflow == 0 and after.alive.sum() == 6 and after.alive[5]
    assert same(row(after.gaussians, 5), row(before.gaussians, 2))
    for i in range(5):
        assert same(row(after.gaussians, i), row(before.gaussians, i))
    for moments in (after.opt.mu, after.opt.nu):
        assert all((x[5] == 0).all() for x in jax.tree.leaves(moments))
        assert all((x[:5] == 1).all() for x in jax.tree.leaves(moments))


def test_a_large_one_is_split():
    """Into two of itself, smaller, both without moments."""
    before = population()
    scales = before.gaussians.log_scales.at[3].set(jnp.log(jnp.array([0.3, 0.01, 0.02])))
    before = before._replace(gaussians=before.gaussians._replace(log_scales=scales))
    after, _ = change(before, asking([3]), CONTROL, 1.0, keys())
    assert after.alive.sum() == 6
    for i in (3, 5):
        np.testing.assert_allclose(
            after.gaussians.log_scales[i], scales[3] - np.log(1.6), rtol=1e-6
        )
        for name in ('rotations', 'opacity_logits', 'sh'):
            assert same(
                row(getattr(after.gaussians, name), i), row(getattr(before.gaussians, name), 3)
            )
        assert all((x[i] == 0).all() for x in jax.tree.leaves((after.opt.mu, after.opt.nu)))
    assert not same(row(after.gaussians.means, 3), row(after.gaussians.means, 5))
    # In a scene of ten times the extent it is small.
    doubled, _ = change(before, asking([3]), CONTROL, 10.0, keys())
    assert same(row(doubled.gaussians, 5), row(before.gaussians, 3))


def test_halves_are_drawn_from_the_whole():
    """Around its mean with its covariance."""
    count = 4000
    one = population(1, 1)
    scales = jnp.log(jnp.array([[0.5, 0.2, 0.05]]))
    one = one._replace(gaussians=one.gaussians._replace(log_scales=scales))
    many = jax.tree.map(lambda x: jnp.repeat(x, 2 * count, axis=0), one.gaussians)
    before = Population(many, ADAM.init(many), jnp.arange(2 * count) < count)
    after, _ = change(before, asking(range(count), 2 * count), CONTROL, 1.0, keys(2 * count))
    assert after.alive.all()
    moved = np.asarray(after.gaussians.means - one.gaussians.means)
    expected = covariance.covariance(one.gaussians.rotations, jnp.exp(scales))[0]
    np.testing.assert_allclose(moved.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(moved.T @ moved / len(moved), expected, atol=0.01)


def test_faint_and_huge_ones_are_removed():
    before = population()
    logits = before.gaussians.opacity_logits.at[1].set(-5.0)
    scales = before.gaussians.log_scales.at[2, 1].set(jnp.log(2.5))
    gaussians = before.gaussians._replace(opacity_logits=logits, log_scales=scales)
    before = before._replace(gaussians=gaussians)
    after, _ = change(before, asking([]), CONTROL, 1.0, keys())
    np.testing.assert_array_equal(after.alive[:5], [True, False, True, True, True])
    after, _ = change(before, asking([]), CONTROL, 1.0, keys(), large=True)
    np.testing.assert_array_equal(after.alive[:5], [True, False, False, True, True])
    # Their rows are there for others.
    again, overflow = change(after, asking([0, 3, 4]), CONTROL, 1.0, keys())
    assert overflow == 0 and again.alive.sum() == 6 and again.alive[1] and again.alive[2]


def test_too_little_room_is_said_and_more_is_enough():
    before = population(alive=7)
    _, overflow = change(before, asking([0, 2, 4]), CONTROL, 1.0, keys())
    assert overflow == 2
    wide = grown(before, 16)
    asked = jax.tree.map(lambda x: jnp.pad(x, (0, 8)), asking([0, 2, 4]))
    after, overflow = change(wide, asked, CONTROL, 1.0, keys(16))
    assert overflow == 0 and after.alive.sum() == 10
    for i, parent in ((7, 0), (8, 2), (9, 4)):
        assert same(row(after.gaussians, i), row(before.gaussians, parent))


def test_offspring_fill_free_rows_in_order():
    alive = np.array([1, 0, 1, 0, 0, 1, 0, 1], bool)
    parents = jnp.array([1, 0, 0, 0, 0, 0, 0, 1], bool)
    source, born, overflow = offspring(jnp.asarray(alive), parents)
    np.testing.assert_array_equal(source, [0, 0, 2, 7, 4, 5, 6, 7])
    np.testing.assert_array_equal(born, [0, 1, 0, 1, 0, 0, 0, 0])
    assert overflow == 0


def test_dimmed():
    """No opacity above 0.01, and what was learned of opacities is forgotten."""
    before = population()
    before.gaussians.opacity_logits.at[0].set(-7.0)
    after = dimmed(before)
    np.testing.assert_allclose(jax.nn.sigmoid(after.gaussians.opacity_logits), 0.01, rtol=1e-5)
    assert (after.opt.mu.opacity_logits == 0).all() and (after.opt.nu.opacity_logits == 0).all()
    assert (after.opt.mu.means == 1).all()


def camera(size=24):
    pose = look_at(jnp.array([0, -3.0, 0.2]), jnp.zeros(3), jnp.array([0, 0, 1.0]))
    return make(pose, 20.0, size, size)


@jax.jit
def look(gaussians, alive):
    def loss(gaussians):
        view = rasterize(drawn(gaussians, alive), camera(), capacity=1024)
        return jnp.square(view.color).sum(), view

    return jax.value_and_grad(loss, has_aux=True)(gaussians)


def test_rows_that_are_not_alive_are_not_there():
    """Whatever they hold, in images and gradients."""
    some = population(8, 5)
    scales = jnp.full((8, 3), jnp.log(0.3))
    gaussians = some.gaussians._replace(log_scales=scales)
    few = jax.tree.map(lambda x: x[:5], gaussians)
    (_, alone), expected = look(few, jnp.ones(5, bool))
    for rest in (gaussians, jax.tree.map(lambda x: x.at[5:].set(50.0), gaussians)):
        (_, view), slope = look(rest, some.alive)
        np.testing.assert_allclose(view.color, alone.color, atol=1e-6)
        assert (view.radii[5:] == 0).all() and view.pairs == alone.pairs > 0
        for found, wanted in zip(slope, expected, strict=True):
            np.testing.assert_allclose(found[:5], wanted, rtol=1e-4, atol=1e-5)
            assert (found[5:] == 0).all()
    everyone = look(gaussians, jnp.ones(8, bool))[0][1]
    assert np.abs(everyone.color - alone.color).max() > 1e-2


def test_demand_is_in_halves_of_the_image_and_of_those_seen():
    gradient = jnp.asarray([[[3.0, 0], [0, 4], [1, 1]], [[0, 2.0], [5, 5], [3, 4]]])
    radii = jnp.asarray([[[1.0, 1], [2, 2], [0, 0]], [[1, 1], [0, 0], [3, 3]]])
    found = demand(gradient, radii, 20, 10)
    np.testing.assert_allclose(found.total, [30 + 10, 20, np.hypot(30, 20)], rtol=1e-6)
    np.testing.assert_array_equal(found.views, [2, 1, 1])


def test_beside_the_image_is_not_seen():
    gaussians = population(2, 2).gaussians._replace(
        means=jnp.array([[0, 0, 0], [5.0, 0, 0]]), log_scales=jnp.full((2, 3), jnp.log(0.1))
    )
    (_, view), _ = look(gaussians, jnp.ones(2, bool))
    assert (view.radii[0] > 0).all() and (view.radii[1] == 0).all()
