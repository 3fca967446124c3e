"""What a person looks at: drawn pictures, how they come about, edits of real ones.

All arrays are on the host, pictures in [-1, 1].
"""

import numpy as np
from jaxtyping import Float

from jaxcv.viz import Picture, enlarge, figure, grid, new_figure

Images = Float[np.ndarray, 'n h w c']
SIDE = 640  # pixels, at least


def rows(images: Images, columns: int, caption: str) -> Picture:
    """Pictures in rows."""
    unit = (np.asarray(images, np.float32) + 1) / 2
    return Picture(enlarge(grid(unit.clip(0, 1), columns), SIDE), caption)


def sweep(
    scales: list[float], scores: dict[str, list[float]], caption: str, label: str = 'guidance'
) -> Picture:
    """Scores against the scale of the guidance, each in its own panel."""
    fig = new_figure(3.2 * len(scores), 2.8)
    for place, (name, values) in enumerate(scores.items()):
        axes = fig.add_subplot(1, len(scores), place + 1)
        axes.plot(scales, values, marker='o')
        axes.set_title(name.replace('_', ' '), fontsize=10)
        axes.set_xlabel(label, fontsize=9)
        axes.grid(alpha=0.3)
    return figure(fig, caption)
