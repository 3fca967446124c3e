"""A scene and its cameras as one: poses found by what photographs show."""

import jax
import numpy as np
import optax
from flax import linen
from jax import numpy as jnp

from jaxcv.cameras import look_at, make, project
from jaxcv.cameras.similarity import apart
from jaxcv.radiance import fields, framing
from jaxcv.radiance.fields import Condition, Field, Radiance
from jaxcv.radiance.learned import Poses, learned
from jaxcv.radiance.renderers import hierarchical, skipping

SIDE = 16
EYES = 3.0 * np.float32([[1, 0, 0], [0, -1, 0], [0.6, 0, 0.8], [0, 0.6, 0.8]])
CAMERAS = make(
    look_at(jnp.asarray(EYES), jnp.zeros(3), jnp.array([0.1, 0.2, 1.0])), 20.0, SIDE, SIDE
)
PLACES = jnp.arange(len(EYES) * SIDE * SIDE)


class Cloud(Field):
    """Two soft balls whose color is where they are."""

    @linen.compact
    def __call__(self, positions, directions, condition=None):
        return Radiance(self.density(positions), (positions + 1) / 2)

    def density(self, positions, condition=None):
        one, two = (
            jnp.square((positions - jnp.array(at)) / size).sum(-1)
            for at, size in (((0.3, 0.2, 0.1), 0.3), ((-0.4, 0.1, -0.3), 0.2))
        )
        return 20 * (jnp.exp(-one) + jnp.exp(-two))


def colors(renderer, made, params, aux):
    seen, frame = framing.seen(made.cameras(params, aux), PLACES)
    sight = renderer.render(*made.scene(params, aux), seen, Condition(None, frame), None)
    return sight.rendered.values


def test_cameras_are_found_by_what_they_saw():
    """The scene is known and stays: nothing can drift."""
    renderer = hierarchical(Cloud(), coarse=24, fine=24, shared=True)
    made = learned(renderer, CAMERAS, Poses(refine=True, rate=0.5, wrong=(4.0, 0.04)))
    params, aux = jax.jit(made.init)(jax.random.key(0))
    truth = colors(renderer, made, params, {**aux, 'wrong': jnp.zeros((len(EYES), 6))})
    adam = optax.adam(optax.cosine_decay_schedule(0.02, 150))

    def loss(twists):
        return jnp.square(colors(renderer, made, {**params, 'twists': twists}, aux) - truth).mean()

    @jax.jit
    def descend(twists):
        def step(_, carry):
            twists, state = carry
            update, state = adam.update(jax.grad(loss)(twists), state)
            return twists + update, state

        return jax.lax.fori_loop(0, 150, step, (twists, adam.init(twists)))[0]

    angle, distance = apart(CAMERAS, made.cameras(params, aux))
    np.testing.assert_allclose(np.rad2deg(angle), 4, rtol=1e-3)
    np.testing.assert_allclose(distance, 0.12, rtol=1e-3)
    # A little turn looks like a little movement: what counts is where things are seen.
    world = jnp.asarray(np.random.default_rng(0).uniform(-0.5, 0.5, (4, 50, 3)), jnp.float32)

    def pixels(twists):
        found = made.cameras({**params, 'twists': twists}, aux)
        return np.linalg.norm(project(found, world)[0] - project(CAMERAS, world)[0], axis=-1)

    before, after = pixels(params['twists']), pixels(descend(params['twists']))
    assert before.mean() > 1 and after.mean() < 0.1


def test_known_cameras_are_left_alone():
    made = learned(skipping(Cloud(), cells=4), CAMERAS, Poses())
    params, aux = made.init(jax.random.key(0))
    assert set(params) == {'scene'} and set(aux) == {'scene', 'step'}
    assert made.cameras(params, aux) is CAMERAS
    found, metrics = made.placed(params, aux, CAMERAS)
    np.testing.assert_array_equal(found.pose, CAMERAS.pose)
    assert not metrics


def test_details_fade_in():
    field = fields.field('ngp', levels=3, rows=2**6, coarsest=2)
    made = learned(skipping(field, cells=4), CAMERAS, Poses(opening=20))
    params, aux = made.init(jax.random.key(0))
    grids = []
    for step in (0, 5, 10, 20, 40):
        own, _ = made.scene(params, {**aux, 'step': step})
        grids.append(own['params']['grid'])
        assert own['params']['first'] is params['scene']['params']['first']
    whole = params['scene']['params']['grid']
    expected = [(1, 0, 0), (1, 0.5, 0), (1, 1, 0), (1, 1, 1), (1, 1, 1)]
    for grid, weights in zip(grids, expected, strict=True):
        for i, weight in enumerate(weights):
            np.testing.assert_allclose(grid[f'level{i}'], weight * whole[f'level{i}'], atol=1e-11)
