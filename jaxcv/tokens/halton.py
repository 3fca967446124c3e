"""An order of the places of a grid that covers it evenly at every length: Halton's sequence
(Besnier et al., 2025, for masked transformers)."""

import numpy as np
from jaxtyping import Int


def order(h: int, w: int) -> Int[np.ndarray, 'n']:
    """The place of each cell of an h x w grid, row by row, in the order of its first point of
    Halton's sequence in bases 2 (rows) and 3 (columns)."""
    found = np.full(h * w, -1)
    seen, count = 0, 4 * h * w
    while seen < h * w:
        index = np.arange(1, count + 1)
        cells = (radical_inverse(index, 2) * h).astype(int) * w
        cells = cells + (radical_inverse(index, 3) * w).astype(int)
        unique, first = np.unique(cells, return_index=True)
        seen, count = len(unique), 2 * count
    found[unique[np.argsort(first)]] = np.arange(h * w)
    return found


def radical_inverse(index: Int[np.ndarray, 'n'], base: int) -> np.ndarray:
    """The digits of each index mirrored at the point: 6 = 110 in base 2 becomes 0.011."""
    result, scale = np.zeros(len(index)), 1.0
    while index.any():
        scale = scale / base
        result = result + scale * (index % base)
        index = index // base
    return result
