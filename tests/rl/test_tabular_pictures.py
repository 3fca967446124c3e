"""Pictures of worlds and curves: their facts are in the pixels."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.rl.tabular import exact, history, pictures, worlds


@pytest.mark.parametrize('name', ['jumps', 'windy', 'cliff', 'rooms'])
def test_every_world_has_its_pictures(name):
    world = worlds.world(name)
    best = exact.value_iteration(world.mdp)
    for made in (
        pictures.values(world, best.values),
        pictures.policy(world, best.policy, best.values, path=[0, 1, 2]),
        pictures.action_values(world, best.q),
    ):
        assert made.pixels.ndim == 3 and made.pixels.shape[-1] == 3 and made.caption
        assert made.pixels.std() > 5


def test_signs_have_colors():
    """A state of value -1 is red and one of value 1 blue."""
    world = worlds.world('drawing', drawing=('S.', '..'), discount=0.9)
    pixels = pictures.values(world, jnp.array([-1.0, 1.0, 0.0, 0.0]), '').pixels.astype(int)
    _, width, _ = pixels.shape
    half = 10  # pixels around the border of the cells
    red = pixels[..., 0] - pixels[..., 2]
    left, right = red[:, : width // 2 - half], red[:, width // 2 + half :]
    assert left.max() > 80 and left.min() > -40
    assert right.min() < -80 and right.max() < 40


def test_ties_have_several_arrows():
    world = worlds.world('drawing', drawing=('S.', '..'), discount=0.9)
    ink = []
    for share in ([1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4):
        pixels = pictures.policy(world, jnp.tile(jnp.array(share), (4, 1)), title='').pixels
        ink.append((pixels.max(-1) < 60).sum())
    assert ink[0] < ink[1] < ink[2]


def test_a_history_keeps_means_of_all_times():
    kept, note = history.empty('a', 'b'), jax.jit(history.note)
    for i in range(100):
        kept = note(kept, a=(2.0 * i, 2.0), b=(1.0, float(i > 50)))
    x, y = history.curve(kept, 'a')
    assert len(x) < 60 and (np.diff(x) > 0).all()
    np.testing.assert_allclose(y[:3], [0, 1, 2])
    assert np.abs(y - (x - 1)).max() < 4  # a slot holds up to 6 of the last entries
    assert float(kept.counts['a'].sum()) == 200
    assert history.curve(kept, 'b')[0].min() > 45


def test_curves():
    x = np.arange(1, 100)
    lines = {'error': {'one': (x, 1 / x), 'two': (x, 2 / x)}, 'return': {'one': (x, -100 / x)}}
    made = pictures.curves(lines, {'return': (0.0, 'optimal')})
    assert made.pixels.shape[1] > made.pixels.shape[0]


def test_curves_of_episodes_of_which_none_has_ended():
    made = pictures.curves({'return': {'one': ([], [])}}, {'return': (0.0, 'optimal')})
    assert made.pixels.size > 0
