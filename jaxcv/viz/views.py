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
) -> Picture:
    """Rows of photographs, of what is rendered, of its depth and of its error."""
    depth = colorize(depth / max(depth.max(), 1e-6))
    error = np.broadcast_to(np.abs(color - expected).mean(-1, keepdims=True), color.shape)
    panels = np.concatenate([expected, color, depth, np.clip(4 * error, 0, 1)])
    words = 'Test views: photographs, rendered, depth, and 4 times the error'
    return Picture(enlarge(grid(panels, len(expected)), SIDE), words)
