"""Halton's order of a grid."""

import numpy as np
import pytest
import scipy.stats

from jaxcv.tokens import halton


@pytest.mark.parametrize('h,w', [(1, 1), (3, 5), (8, 8), (16, 16)])
def test_every_place_has_its_turn(h, w):
    np.testing.assert_array_equal(np.sort(halton.order(h, w)), np.arange(h * w))


def test_the_sequence_is_scipys():
    theirs = scipy.stats.qmc.Halton(2, scramble=False).random(200)[1:]
    index = np.arange(1, 200)
    ours = np.stack([halton.radical_inverse(index, base) for base in (2, 3)], 1)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    cells = (theirs * [6, 7]).astype(int) @ [7, 1]
    expected = list(dict.fromkeys(cells.tolist()))
    ranks = halton.order(6, 7)
    np.testing.assert_array_equal(np.argsort(ranks)[: len(expected)], expected)


def test_any_part_is_spread_evenly():
    """The first quarter of 16 x 16 puts 4 into most 4 x 4 blocks, as chance would not."""
    first = (halton.order(16, 16) < 64).reshape(4, 4, 4, 4).sum((1, 3))
    assert first.var() < 1.0  # 3.1 by chance
