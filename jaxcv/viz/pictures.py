"""Many images, or the curves of many scores, as one picture."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from jaxcv.viz.figures import figure, new_figure
from jaxcv.viz.media import Picture
from jaxcv.viz.pixels import enlarge, grid

Images = Float[np.ndarray, 'n h w c']  # in [-1, 1]
SIDE = 640  # pixels, at least


def rows(images: Images, columns: int, caption: str) -> Picture:
    """Images in rows of `columns`."""
    unit = (np.asarray(images, np.float32) + 1) / 2
    return Picture(enlarge(grid(unit.clip(0, 1), columns), SIDE), caption)


def titled(images: Images, titles: Sequence[str], columns: int, caption: str) -> Picture:
    """Images in rows, each below its title."""
    unit = ((np.asarray(images, np.float32) + 1) / 2).clip(0, 1)
    lines = -(-len(titles) // columns)
    fig = new_figure(1.6 * columns, 2.1 * lines)
    for place, (image, title) in enumerate(zip(unit, titles, strict=True)):
        axes = fig.add_subplot(lines, columns, place + 1)
        axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap='gray', vmin=0, vmax=1)
        axes.set_title('\n'.join(textwrap.wrap(title, 22)), fontsize=7)
        axes.set_axis_off()
    return figure(fig, caption)


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, caption: str
) -> Picture:
    """Lines (x, y) by name."""
    fig = new_figure(5.6, 3.6)
    axes = fig.add_subplot()
    for name, (places, values) in lines.items():
        axes.plot(places, values, marker='o', markersize=3, label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y.replace('_', ' '))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure(fig, caption)


def sweep(x: list[float], scores: dict[str, list[float]], caption: str, label: str) -> Picture:
    """Scores against x, each in its own panel."""
    fig = new_figure(3.2 * len(scores), 2.8)
    for place, (name, values) in enumerate(scores.items()):
        axes = fig.add_subplot(1, len(scores), place + 1)
        axes.plot(x, values, marker='o')
        axes.set_title(name.replace('_', ' '), fontsize=10)
        axes.set_xlabel(label, fontsize=9)
        axes.grid(alpha=0.3)
    return figure(fig, caption)
