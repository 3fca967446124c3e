"""Plots as pictures."""

import numpy as np

from jaxcv.viz.media import Picture

DPI = 110


def new_figure(width: float, height: float):
    """A `matplotlib.figure.Figure` of so many inches, made without pyplot, which keeps state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout='constrained', facecolor='white')


def figure(fig, caption: str = '') -> Picture:
    """A figure as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return Picture(np.array(canvas.buffer_rgba())[..., :3], caption)
