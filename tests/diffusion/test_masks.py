"""Random masks: how much they hide, and that a sample's depends on its key alone."""

from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import masks

KEYS = jax.random.split(jax.random.key(0), 1000)


def many(shape, height, width):
    return np.asarray(jax.jit(jax.vmap(lambda key: shape(key, height, width)))(KEYS))


@pytest.mark.parametrize('sides', [(8, 8), (16, 40)])
@pytest.mark.parametrize(
    ('shape', 'low', 'high', 'mean'),
    [
        # Shares of sides are uniform in 1/4 ... 3/4 and independent: 1/2 * 1/2.
        (masks.rectangle, 1 / 16, 9 / 16, 1 / 4),
        (masks.half_plane, 1 / 8, 7 / 8, 1 / 2),
        (masks.strokes, 0, 0.66, None),
    ],
)
def test_shares_of_hidden_pixels(shape, low, high, mean, sides):
    hidden = (~many(shape, *sides)).mean((1, 2))
    border = 2 / min(sides) if shape is not masks.rectangle else 0
    assert low - border <= hidden.min() and hidden.max() <= high + border
    assert hidden.min() > 0 and hidden.max() < 1
    assert hidden.std() > 0.05
    if mean:
        assert abs(hidden.mean() - mean) < 0.03


def test_hidden_rectangles_are_filled_and_lie_anywhere():
    hidden = ~many(masks.rectangle, 12, 20)
    rows, columns = hidden.any(2), hidden.any(1)
    np.testing.assert_array_equal(hidden, rows[:, :, None] & columns[:, None])
    for side in (rows, columns):
        assert (np.abs(np.diff(side.astype(int), axis=1)).sum(1) <= 2).all()
        assert side.mean(0).min() > 0.05
        np.testing.assert_allclose(side.mean(0), side.mean(0)[::-1], atol=0.06)


def test_half_planes_are_convex_and_have_every_direction():
    kept = many(masks.half_plane, 16, 16)
    rows, columns = np.mgrid[:16, :16] - 7.5
    lean = np.stack([(kept * rows).sum((1, 2)), (kept * columns).sum((1, 2))])
    angles = np.arctan2(*lean)
    share = np.histogram(angles, 8, (-np.pi, np.pi))[0] / len(kept)
    np.testing.assert_allclose(share, 1 / 8, atol=0.04)
    for lines in (kept, kept.swapaxes(1, 2)):  # every row and column changes at most once
        assert (np.abs(np.diff(lines.astype(int), axis=2)).sum(2) <= 1).all()


def test_strokes_are_connected():
    from scipy.ndimage import label

    chance = jax.random.uniform(KEYS[0], (200, 4 + masks.STEPS))
    one = np.asarray(masks.stroke(chance, 24, 24))
    assert all(label(mask, np.ones((3, 3)))[1] == 1 for mask in one)


def test_distance_to_a_segment():
    points = jnp.array([[[0.0, 3.0], [2.0, 0.5], [-3.0, -4.0], [5.0, 0.0]]])
    found = masks.distance(points, jnp.zeros(2), jnp.array([4.0, 0.0]))
    np.testing.assert_allclose(found, [[3.0, 0.5, 5.0, 1.0]], rtol=1e-6)
    nowhere = masks.distance(points, jnp.zeros(2), jnp.zeros(2))
    np.testing.assert_allclose(nowhere, jnp.linalg.norm(points, axis=-1), rtol=1e-6)


def test_drawn_masks_mix_the_shapes_and_belong_to_their_keys():
    draw = jax.jit(partial(masks.draw, height=25, width=17))
    kept = np.asarray(draw(KEYS))
    assert kept.shape == (len(KEYS), 25, 17, 1) and kept.dtype == bool
    np.testing.assert_array_equal(draw(KEYS[::-1])[::-1], kept)
    keys = jax.vmap(jax.random.split)(KEYS)[:, 1]
    shapes = jax.jit(jax.vmap(lambda key: jnp.stack([f(key, 25, 17) for f in masks.SHAPES])))(keys)
    shares = (np.asarray(shapes) == kept[:, None, ..., 0]).all((2, 3)).mean(0)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)
