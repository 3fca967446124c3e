"""Positions of tokens on grids, before they are learned, and as attention sees them."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.tokens.positions import angles, places, turned, waves
from jaxcv.tokens.told import SCALE
from jaxcv.tokens.transformer import Transformer

GRIDS = [((20,),), ((5, 4),), ((3, 6),), ((2, 3, 4),), ((1, 1), (2, 2), (3, 3))]


def cosines(grids):
    """[n n]: of how far apart places are, on every axis in four frequencies from 2 radians a place
    of the last grid down to 1 in its whole length."""
    where = places(grids)
    apart = where[:, None] - where
    return sum(
        np.cos(2 * (1 / (2 * side)) ** (i / 3) * apart[..., axis])
        for axis, side in enumerate(grids[-1])
        for i in range(4)
    )


def test_grids_cover_the_same_ground():
    found = places(((1, 2), (2, 2), (4, 4)))
    np.testing.assert_allclose(found[0], (1.5, 0.5))
    np.testing.assert_allclose(found[1], (1.5, 2.5))
    np.testing.assert_allclose(found[2:6], [(0.5, 0.5), (0.5, 2.5), (2.5, 0.5), (2.5, 2.5)])
    np.testing.assert_allclose(found[6:], np.stack(np.indices((4, 4)), -1).reshape(-1, 2))


@pytest.mark.parametrize('grids', GRIDS)
def test_products_tell_how_far_apart_places_are(grids):
    found = waves(grids, 8 * len(grids[-1]))
    np.testing.assert_allclose(found @ found.T, 2 * cosines(grids), atol=1e-9)
    np.testing.assert_allclose(np.square(found).mean(1), 1)
    distinct = [len(np.unique(x.round(6), axis=0)) for x in (found, places(grids))]
    assert distinct[0] == distinct[1] >= np.prod(grids[-1])


def test_what_is_left_of_the_width_is_0():
    found = waves(((3, 3),), 10)
    assert found.shape == (9, 10) and not found[:, 8:].any()
    assert waves(((3, 3),), 3).shape == (9, 3)


def test_a_transformer_begins_with_them():
    body = Transformer(6, 16, 1, 2, num_classes=3, grids=((2, 3),))
    params = body.init(jax.random.key(0), jnp.zeros((1, 6, 16)), (jnp.zeros(1, int), None))
    positions = params['params']['positions']
    np.testing.assert_allclose(positions[1:], SCALE * waves(((2, 3),), 16), rtol=1e-6)
    assert 0.3 < np.std(positions[0]) / SCALE < 3


@pytest.mark.parametrize('grids', GRIDS)
def test_attention_sees_how_far_apart_places_are(grids):
    """Of equal queries and equal keys, products are sums of cosines; tokens before the grids, and
    a feature that is left over, stay as they are."""
    width = 8 * len(grids[-1])
    x = jnp.ones((1, 2 + len(places(grids)), 1, width + 1)).at[..., -1].set(7)
    found = turned(x, angles(grids, 2, width + 1))[0, :, 0]
    own = found[2:, :-1]
    np.testing.assert_allclose(own @ own.T, 2 * cosines(grids), atol=1e-4)
    np.testing.assert_array_equal(found[:2], x[0, :2, 0])
    np.testing.assert_array_equal(found[:, -1], 7)


def test_pairs_are_turned():
    """As complex numbers are; gradients are turned back."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 3, 8))
    by = jax.random.uniform(jax.random.key(1), (5, 4), minval=-3, maxval=3)
    found, gradient = jax.vjp(lambda x: turned(x, by), x)
    expected = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * by)[:, None]
    np.testing.assert_allclose(found[..., :4] + 1j * found[..., 4:], expected, atol=1e-5)
    np.testing.assert_allclose(gradient(found)[0], x, atol=1e-5)
