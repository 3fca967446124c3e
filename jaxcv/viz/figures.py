"""Plots as pictures."""

import numpy as np

from jaxcv.viz.media import Picture


def figure(fig, caption: str = '') -> Picture:
    """A `matplotlib.figure.Figure` (made without pyplot, which keeps state) as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return Picture(np.array(canvas.buffer_rgba())[..., :3], caption)
