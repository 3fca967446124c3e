"""Byte-pair encoding (Gage, 1994; Sennrich et al., 2016), learned from captions.

Ids: 0 is padding, 1 to 256 are the bytes of UTF-8, every further one is a pair of earlier ones.
A word has the space before it; pairs do not cross words.
"""

import heapq
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxcv.errors import UserError

WORD = re.compile(r' ?\S+|\s+', re.ASCII)
BYTES = 257  # ids of padding and of bytes
Pair = tuple[int, int]


class Vocabulary(NamedTuple):
    """Pairs in the order in which they were learned; pair i has id 257 + i."""

    pairs: tuple[Pair, ...] = ()

    @property
    def size(self) -> int:
        """Number of ids, padding included."""
        return BYTES + len(self.pairs)

    def to_data(self) -> dict[str, Any]:
        """For JSON."""
        return {'pairs': [list(pair) for pair in self.pairs]}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> 'Vocabulary':
        return cls(tuple((int(a), int(b)) for a, b in data['pairs']))


def learn(captions: Iterable[str], size: int) -> Vocabulary:
    """A vocabulary of at most `size` ids: the pair that is most frequent in the words (of equals
    that with the lowest ids) becomes an id, until there are enough or no pair is left."""
    if size < BYTES:
        raise UserError(f'a vocabulary of {size} ids: it needs {BYTES} for padding and the bytes')
    words, counts = distinct(captions)
    totals: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        for pair in neighbors(word):
            totals[pair] += counts[index]
            where[pair].add(index)
    heap = [(-count, pair) for pair, count in totals.items()]
    heapq.heapify(heap)
    pairs: list[Pair] = []
    while heap and BYTES + len(pairs) < size:
        count, pair = heapq.heappop(heap)
        if -count != totals[pair]:  # has changed since, and was pushed again
            continue
        changed = set()
        for index in sorted(where.pop(pair)):
            old = words[index]
            words[index] = merged(old, pair, BYTES + len(pairs))
            for sign, word in ((-1, old), (1, words[index])):
                for other in neighbors(word):
                    totals[other] += sign * counts[index]
                    changed.add(other)
                    if sign > 0:
                        where[other].add(index)
        pairs.append(pair)
        for other in changed - {pair}:
            if totals[other] > 0:
                heapq.heappush(heap, (-totals[other], other))
    return Vocabulary(tuple(pairs))


def distinct(captions: Iterable[str]) -> tuple[list[list[int]], list[int]]:
    """The different words as ids of bytes, and how often each occurs."""
    counts = Counter(word for caption in captions for word in WORD.findall(caption))
    ordered = sorted(counts)
    return [spelled(word) for word in ordered], [counts[word] for word in ordered]


def spelled(word: str) -> list[int]:
    return [byte + 1 for byte in word.encode()]


def neighbors(word: Sequence[int]) -> Iterable[Pair]:
    return itertools.pairwise(word)


def merged(word: Sequence[int], pair: Pair, number: int) -> list[int]:
    """With every occurrence of the pair, from the left, replaced by one id."""
    result: list[int] = []
    for item in word:
        if result and (result[-1], item) == pair:
            result[-1] = number
        else:
            result.append(item)
    return result


def encode(vocabulary: Vocabulary, captions: Sequence[str], length: int) -> Int[np.ndarray, 'n t']:
    """Ids of captions, padded with 0. A caption with more than `length` ids is an error."""
    ranks = {pair: rank for rank, pair in enumerate(vocabulary.pairs)}
    known: dict[str, list[int]] = {}

    def ids(word):
        if word not in known:
            known[word] = joined(spelled(word), ranks)
        return known[word]

    found = np.zeros((len(captions), length), np.int32)
    for row, caption in zip(found, captions, strict=True):
        line = [number for word in WORD.findall(caption) for number in ids(word)]
        if len(line) > length:
            raise UserError(
                f'{caption!r} has {len(line)} ids, but there is room for {length}: give a longer '
                'length, or learn a larger vocabulary'
            )
        row[: len(line)] = line
    return found


def joined(word: list[int], ranks: dict[Pair, int]) -> list[int]:
    """All pairs of a word merged, those learned first before others."""
    while len(word) > 1:
        pair = min(neighbors(word), key=lambda pair: ranks.get(pair, len(ranks)))
        if pair not in ranks:
            break
        word = merged(word, pair, BYTES + ranks[pair])
    return word


def decode(vocabulary: Vocabulary, ids: Int[np.ndarray, 'n t']) -> list[str]:
    """The captions of ids; what is not UTF-8, as drawn ids may be, becomes U+FFFD."""
    table = [b'', *(bytes([byte]) for byte in range(256))]
    for a, b in vocabulary.pairs:
        table.append(table[a] + table[b])
    lines = (b''.join(table[number] for number in line) for line in np.asarray(ids).tolist())
    return [line.decode(errors='replace') for line in lines]
