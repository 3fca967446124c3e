"""Views of a scene beside the photographs that they should look like."""

import numpy as np
from jaxtyping import Float

from jaxcv.viz.media import Picture
from jaxcv.viz.pixels import colorize, enlarge, grid

SIDE = 800  # pixels of the picture, at least


def compared(
    expected: Float[np.ndarray, 'n h w 3'],
    color: Float[np.ndarray, 'n h w 3'],
    depth: Float[np.ndarray, 'n h w'],
    given: Float[np.ndarray, 'n h w 3'] | None = None,
) -> Picture:
    """Rows of photographs, of what is rendered, of its depth and of its error; above them what each
    was made from, if that is `given`."""
    depth = colorize(depth / max(depth.max(), 1e-6))
    error = np.broadcast_to(np.abs(color - expected).mean(-1, keepdims=True), color.shape)
    panels = [expected, color, depth, np.clip(4 * error, 0, 1)]
    words = 'photographs, rendered, depth, and 4 times the error'
    if given is not None:
        panels, words = [given, *panels], f'what is given, {words}'
    picture = grid(np.concatenate(panels), len(expected))
    return Picture(enlarge(picture, SIDE), f'Test views: {words}')
