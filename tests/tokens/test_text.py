"""Byte-pair encoding."""

import collections
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcv.errors import UserError
from jaxcv.tokens import text
from jaxcv.tokens.text import Vocabulary, decode, encode, learn

COLORS = ('red', 'green', 'blue', 'yellow')
SHAPES = ('circle', 'square', 'triangle')
CAPTIONS = [f'a {c} {s} above a {d} {s}' for c in COLORS for s in SHAPES for d in COLORS]


def slow(captions, size):
    """The definition: every pair counted anew for every merge."""
    words, counts = text.distinct(captions)
    pairs = []
    while len(pairs) + text.BYTES < size:
        totals = collections.Counter()
        for word, count in zip(words, counts, strict=True):
            for pair in text.neighbors(word):
                totals[pair] += count
        if not totals:
            break
        best = min(totals, key=lambda pair: (-totals[pair], pair))
        words = [text.merged(word, best, text.BYTES + len(pairs)) for word in words]
        pairs.append(best)
    return tuple(pairs)


def test_the_first_pairs_by_hand():
    found = learn(['ab ab abc', 'ab'], 260)  # ab: 4 times; then ' ab', then ' abc'
    a, b, c, space = (ord(letter) + 1 for letter in 'abc ')
    assert found.pairs == ((a, b), (space, 257), (258, c))


def test_counts_kept_are_counts_made_anew():
    rng = np.random.default_rng(0)
    captions = [' '.join(''.join(rng.choice(list('aab'), 6)) for _ in range(3)) for _ in range(40)]
    assert learn(captions, 330).pairs == slow(captions, 330)
    assert learn(CAPTIONS, 400).pairs == slow(CAPTIONS, 400)
    assert learn(reversed(CAPTIONS), 400) == learn(CAPTIONS, 400)


def test_common_words_become_one_id():
    vocabulary = learn(CAPTIONS, 400)
    ids = encode(vocabulary, CAPTIONS, 8)
    assert ids.shape == (48, 8) and ids.dtype == np.int32
    np.testing.assert_array_equal((ids != 0).sum(1), 7)
    assert decode(vocabulary, ids) == CAPTIONS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_text_comes_back(captions):
    vocabulary = learn(CAPTIONS, 320)
    assert decode(vocabulary, encode(vocabulary, captions, 80)) == captions


def test_through_json():
    vocabulary = learn(CAPTIONS, 280)
    assert Vocabulary.from_data(json.loads(json.dumps(vocabulary.to_data()))) == vocabulary
    assert vocabulary.size == 280 > encode(vocabulary, CAPTIONS, 60).max()


def test_drawn_ids_need_not_be_text():
    assert decode(Vocabulary(), np.array([[256, 66, 0, 67]])) == ['\ufffdAB']


def test_errors():
    with pytest.raises(UserError, match='has 7 ids, but there is room for 6'):
        encode(learn(CAPTIONS, 400), CAPTIONS, 6)
    with pytest.raises(UserError, match='needs 257'):
        learn(CAPTIONS, 100)
