"""A ball looks like a ball, by whatever way its samples are chosen."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import look_at, make, pixel_grid, rays
from jaxcv.radiance.fields import Condition, Field, Radiance, field
from jaxcv.radiance.renderers import grown, hierarchical, penalties, proposing, skipping

RADIUS = 0.5
CAMERA = make(look_at(jnp.array([3.0, 0, 0]), jnp.zeros(3), jnp.array([0, 0, 1.0])), 12.0, 10, 10)
RAYS = rays(CAMERA, pixel_grid(10, 10).reshape(-1, 2))
NOTHING = Condition()


class Ball(Field):
    """Dense within the radius, of the color of the direction it is seen in."""

    def __call__(self, positions, directions, condition=None):
        return Radiance(self.density(positions, condition), (directions + 1) / 2)

    def density(self, positions, condition=None):
        return 200 * jax.nn.sigmoid(100 * (RADIUS - jnp.linalg.norm(positions, axis=-1)))


RENDERERS = {
    'hierarchical': lambda: hierarchical(Ball(), coarse=32, fine=64),
    'shared': lambda: hierarchical(Ball(), coarse=64, fine=64, shared=True),
    'skipping': lambda: skipping(Ball(), steps=256, per_ray=100, cells=16),
    'proposing': lambda: proposing(Ball(), [Ball(), Ball()], counts=(64, 64, 32), warmup=1),
}


def truth():
    """(whether rays meet the ball clearly, whether they miss it, distances)."""
    along = -(RAYS.origins * RAYS.directions).sum(-1)
    square = jnp.square(RAYS.origins).sum(-1) - along**2
    reach = jnp.sqrt(jnp.maximum(RADIUS**2 - square, 0))
    return square < 0.4**2, square > 0.6**2, along - reach


def started(renderer):
    params, aux = renderer.init(jax.random.key(0))
    for i in range(2):
        aux = renderer.update(params, aux, jax.random.key(i))
    return params, aux


@pytest.mark.parametrize('drawn', [False, True])
@pytest.mark.parametrize('name', RENDERERS)
def test_a_ball(name, drawn):
    renderer = RENDERERS[name]()
    keys = jax.random.split(jax.random.key(1), 100) if drawn else None
    sight = jax.jit(renderer.render)(*started(renderer), RAYS, NOTHING, keys)
    hit, missed, distance = truth()
    assert hit.sum() > 10 and missed.sum() > 30
    # Draws leave out half of a share of the weight at either end.
    near = 0.04 if name == 'proposing' else 2e-3
    np.testing.assert_allclose(sight.rendered.opacity[hit], 1, atol=near)
    np.testing.assert_allclose(sight.rendered.opacity[missed], 0, atol=1e-3)
    np.testing.assert_allclose(sight.rendered.depth[hit], distance[hit], atol=0.03)
    seen = (RAYS.directions[hit] + 1) / 2
    np.testing.assert_allclose(sight.rendered.values[hit], seen, atol=near)
    assert all((penalty[hit] < 0.2).all() for penalty in sight.penalties.values())


@pytest.mark.parametrize('name', RENDERERS)
def test_rays_are_alone(name):
    """What a ray sees does not depend on the others."""
    renderer = RENDERERS[name]()
    keys, start = jax.random.split(jax.random.key(1), 100), started(renderer)
    look = jax.jit(renderer.render)
    every = look(*start, RAYS, NOTHING, keys).rendered
    some = look(*start, jax.tree.map(lambda x: x[40:60], RAYS), NOTHING, keys[40:60]).rendered
    np.testing.assert_allclose(every.values[40:60], some.values, atol=1e-5)
    np.testing.assert_allclose(every.depth[40:60], some.depth, atol=1e-4)


def test_empty_cells_are_skipped_and_lost_samples_told():
    renderer = RENDERERS['skipping']()
    params, aux = renderer.init(jax.random.key(0))
    before = renderer.render(params, aux, RAYS, NOTHING, None)
    after = renderer.render(*started(renderer), RAYS, NOTHING, None)
    assert after.metrics['samples'] < before.metrics['samples'] / 3
    assert after.whole.all() and after.metrics['lost'] == 0

    tight = skipping(Ball(), steps=256, per_ray=5, margin=1.0, cells=16)
    found = tight.render(*started(tight), RAYS, NOTHING, None)
    assert 0.1 < found.metrics['lost'] < 1 and 0.1 < found.whole.mean() < 1
    whole = np.asarray(found.whole)
    np.testing.assert_allclose(
        found.rendered.values[whole], after.rendered.values[whole], atol=1e-5
    )


def test_proposals_learn_where_the_field_is():
    """The interlevel loss sees weights that an even proposal does not cover."""

    class Fog(Field):
        def density(self, positions, condition=None):
            return jnp.full(len(positions), 0.5)

    good, bad = (proposing(Ball(), [net], counts=(64, 64), warmup=1) for net in (Ball(), Fog()))
    hit, _, _ = truth()
    losses = [
        r.render(*started(r), RAYS, NOTHING, None).penalties['interlevel'][hit].mean()
        for r in (good, bad)
    ]
    assert losses[0] < 0.05 < 0.3 < losses[1]


class Guest(Ball):
    """A ball that is there for a fifth of the time."""

    def density(self, positions, condition=None):
        here = jnp.abs(condition.time - 0.5) < 0.1
        return jnp.where(here, Ball.density(self, positions), 0.0)


def test_what_is_there_at_any_time_is_not_empty():
    renderer = skipping(Guest(), steps=256, per_ray=100, cells=8, every=1)
    params, aux = renderer.init(jax.random.key(0))
    update = jax.jit(renderer.update)
    for i in range(40):
        aux = update(params, aux, jax.random.key(i))
    axis = (np.arange(8) + 0.5) / 4 - 1
    away = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing='ij')), axis=0)
    occupied = np.asarray(aux['grid'].occupied[0])
    assert occupied[away < 0.3].all() and not occupied[away > 0.9].any()
    told = Condition(jnp.linspace(0, 1, 100))
    sight = jax.jit(renderer.render)(params, aux, RAYS, told, None)
    here, (hit, _, _) = np.abs(told.time - 0.5) < 0.09, truth()
    assert (here & hit).any()
    np.testing.assert_allclose(sight.rendered.opacity[here & hit], 1, atol=2e-3)
    gone = np.abs(told.time - 0.5) > 0.11
    np.testing.assert_allclose(sight.rendered.opacity[gone], 0, atol=1e-6)
    np.testing.assert_allclose(
        renderer.density(params, jnp.zeros((1, 3)), Condition(jnp.full(1, 0.5))), 200, rtol=1e-3
    )


def test_what_concerns_all_fields():
    """Penalties are summed over the field and its proposals, and all that can grow does."""
    planes = [field('triplane', cells=4 + i, features=2) for i in range(3)]
    renderer = proposing(planes[0], planes[1:], counts=(8, 8, 8))
    params, _ = renderer.init(jax.random.key(0))
    every = [params['field'], *params['proposals']]
    found = penalties(renderer, params, jax.random.key(0))
    alone = [
        one.apply(own, jax.random.key(0), method='penalties')['variation']
        for one, own in zip(planes, every, strict=True)
    ]
    np.testing.assert_allclose(found['variation'], sum(alone), rtol=1e-6)
    assert not penalties(RENDERERS['shared'](), {'fine': {}}, jax.random.key(0))

    renderer = hierarchical(field('voxels', cells=2, finest=4, degree=0))
    params, _ = renderer.init(jax.random.key(0))
    shapes = jax.tree.map(lambda x: x.shape[:3], grown(renderer, params))
    assert jax.tree.leaves(shapes, is_leaf=lambda x: isinstance(x, tuple)) == [(5, 5, 5)] * 4
