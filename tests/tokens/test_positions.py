"""Positions of tokens on a grid, before they are learned."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.tokens.positions import waves
from jaxcv.tokens.told import SCALE
from jaxcv.tokens.transformer import Transformer


@pytest.mark.parametrize('grid', [(5, 4), (3, 6), (2, 3, 4)])
def test_products_tell_how_far_apart_places_are(grid):
    """On every axis a sum of cosines, from 2 radians a place down to 1 in its whole length."""
    width = 8 * len(grid)
    found = waves(grid, width)
    places = np.stack([x.ravel() for x in np.indices(grid)], 1)
    apart = places[:, None] - places
    expected = sum(
        2 * np.cos(2 * (1 / (2 * side)) ** (i / 3) * apart[..., axis])
        for axis, side in enumerate(grid)
        for i in range(4)
    )
    np.testing.assert_allclose(found @ found.T, expected, atol=1e-9)
    np.testing.assert_allclose(np.square(found).mean(1), 1)
    assert len(np.unique(found.round(6), axis=0)) == len(found)


def test_what_is_left_of_the_width_is_0():
    found = waves((3, 3), 10)
    assert found.shape == (9, 10) and not found[:, 8:].any()
    assert waves((3, 3), 3).shape == (9, 3)


def test_a_transformer_begins_with_them():
    body = Transformer(6, 16, 1, 2, num_classes=3, grid=(2, 3))
    params = body.init(jax.random.key(0), jnp.zeros((1, 6, 16)), (jnp.zeros(1, int), None))
    positions = params['params']['positions']
    np.testing.assert_allclose(positions[1:], SCALE * waves((2, 3), 16), rtol=1e-6)
    assert 0.3 < np.std(positions[0]) / SCALE < 3
