"""What a person looks at: values, policies and paths in a grid world, and curves of learning."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float, Int

from jaxcv.rl.tabular.gridworld import FLOOR, MOVES, WALL, GridWorld
from jaxcv.viz import Picture, figure, new_figure

INK, PALE, STONE, ABYSS = '#222222', '#9aa0a6', '#4a4d52', '#2f1d1d'
GOOD, BAD, PATH = '#2a7f62', '#b3261e', '#e08a00'
LINES = ('#33658a', '#b3261e', '#2a7f62', '#e08a00', '#6d4c9f')
CELL = 0.62  # inches
MAP = 'RdBu'
DARK = 0.75  # share of the scale beyond which text is white


def values(world: GridWorld, values: Float[Array, 's'], title: str = 'Values') -> Picture:
    """The value of every state: red where it is negative, blue where it is positive."""
    values = np.asarray(values, float)
    fig, axes = canvas(world, title)
    scale = reach(values)
    paint(axes, world, values, scale)
    for (row, column), value in zip(world.cells, values, strict=True):
        if world.rows[row][column] not in world.ends:
            dark = abs(value) > DARK * scale
            text = number(value, scale)
            style = {'ha': 'center', 'va': 'center', 'fontsize': 10 if len(text) < 6 else 8.5}
            axes.text(column, row, text, color='white' if dark else INK, **style)
    furnish(axes, world)
    return figure(fig, f'color: from −{scale:.3g} (red) over 0 (white) to {scale:.3g} (blue)')


def policy(
    world: GridWorld,
    policy: Float[Array, 's a'],
    values: Float[Array, 's'] | None = None,
    path: Int[Array, 't'] | None = None,
    title: str = 'Policy',
) -> Picture:
    """An arrow for each action that the policy takes, as long as it is likely: ties show as
    several. `values` color the cells, `path` is a line through states."""
    policy = np.asarray(policy, float)
    fig, axes = canvas(world, title)
    if values is not None:
        paint(axes, world, np.asarray(values, float), 1.5 * reach(values))
    if path is not None:
        trace(axes, world, np.asarray(path))
    for (row, column), shares in zip(world.cells, policy, strict=True):
        if world.rows[row][column] not in world.ends:
            arrows(axes, row, column, shares)
    furnish(axes, world)
    return figure(fig, 'arrows: actions, as long as they are likely; line: one episode')


def action_values(
    world: GridWorld, q: Float[Array, 's a'], title: str = 'Values of actions'
) -> Picture:
    """The value of every action, in the quarter of the cell that it points to."""
    from matplotlib.collections import PolyCollection

    q = np.asarray(q, float)
    fig, axes = canvas(world, title, 1.5)
    scale = reach(q.max(-1))
    square = 0.5 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
    edges = np.stack([square[:-1], square[1:]], 1)  # top, right, bottom, left
    shapes, shown = [], []
    for (row, column), actions in zip(world.cells, q, strict=True):
        if world.rows[row][column] in world.ends:
            continue
        for (down, right), edge, value in zip(MOVES, edges, actions, strict=True):
            middle = np.array([column, row])
            shapes.append([middle, *(middle + edge)])
            shown.append(value)
            best, dark = value >= actions.max(), abs(value) > DARK * scale
            # Beside the borders, so that neighbors' numbers do not touch.
            axes.text(
                column + 0.46 * right,
                row + 0.34 * down,
                number(value, scale),
                ha={1: 'right', 0: 'center', -1: 'left'}[right], va='center', fontsize=7,
                color='white' if dark else INK, weight='bold' if best else 'normal',
            )  # fmt: skip
    share = 0.5 + 0.5 * np.clip(np.array(shown) / scale, -1, 1)
    axes.add_collection(
        PolyCollection(shapes, array=share, cmap=MAP, clim=(0, 1), edgecolor='white', linewidth=0.6)
    )
    furnish(axes, world, labels=False)
    return figure(fig, 'each quarter: the action that points there; bold: the best')


def curves(
    lines: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    levels: Mapping[str, tuple[float, str]] | None = None,
    xlabel: str = 'steps',
) -> Picture:
    """Learning curves, one panel for each quantity: {quantity: {line: (x, y)}}.

    levels: {quantity: (height, name)} of a dashed line. Time is logarithmic; so is a quantity whose
    name has 'error' in it.
    """
    levels = levels or {}
    fig = new_figure(4.6 * len(lines), 3.4)
    panels = fig.subplots(1, len(lines), squeeze=False)[0]
    for axes, (quantity, each) in zip(panels, lines.items(), strict=True):
        for color, (name, (x, y)) in zip(LINES, each.items(), strict=False):
            axes.plot(x, y, color=color, linewidth=1.6, label=name)
        if quantity in levels:
            height, name = levels[quantity]
            axes.axhline(height, color='#777777', linewidth=1.2, linestyle=(0, (4, 3)), label=name)
        heights = np.concatenate([np.asarray(y, float) for _, y in each.values()])
        if heights.size:  # no episode may have ended yet
            axes.set_xscale('log')
            if 'error' in quantity:
                axes.set_yscale('log')
            else:
                fit(axes, heights, levels.get(quantity, (-np.inf,))[0])
        axes.set(xlabel=xlabel, title=quantity)
        axes.grid(color='#eeeeee', linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
        if len(each) > 1 or quantity in levels:
            axes.legend(fontsize=9, frameon=False)
    return figure(fig, 'time is logarithmic')


def fit(axes, y, level):
    """Limits that leave out the worst beginning."""
    low, high = np.quantile(y, 0.1), max(y.max(), level)
    margin = max(0.1 * (high - low), 1e-6)
    axes.set_ylim(low - margin, high + margin)


# Parts of a picture of a world.


def reach(values) -> float:
    """The value at the ends of the color map, whose darkest colors only extremes get."""
    size = np.abs(np.asarray(values, float))
    return float(max(1.2 * np.quantile(size, 0.95), 1e-3))


def number(value, scale) -> str:
    """A value with three digits where the others are as large as `scale`."""
    size = max(abs(value), scale)
    return f'{value:z.{0 if size >= 100 else 1 if size >= 10 else 2}f}'.replace('-', '−')


def canvas(world: GridWorld, title: str, enlarge: float = 1.0):
    """(figure, axes) for a world, cells as units, rows downwards."""
    height, width = world.shape
    below = 0.5 if world.wind else 0.0
    side = CELL * enlarge
    fig = new_figure(max(side * width, 2.6) + 0.3, side * (height + below) + 0.6)
    axes = fig.add_subplot()
    axes.set(xlim=(-0.54, width - 0.46), ylim=(height - 0.46 + below, -0.54), aspect='equal')
    axes.set_axis_off()
    axes.set_title(title, fontsize=12, color=INK)
    return fig, axes


def paint(axes, world, values, scale):
    """Cells in the colors of their values."""
    height, width = world.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(world.spread(values), cmap=MAP, vmin=-scale, vmax=scale, extent=extent)


def furnish(axes, world, labels=True):
    """Lines between cells, walls, cliffs, goals, starts, jumps and wind."""
    from matplotlib.patches import FancyArrowPatch, Rectangle

    height, width = world.shape
    best = max(world.ends.values(), default=0.0)
    for row, line in enumerate(world.rows):
        for column, mark in enumerate(line):
            corner = column - 0.5, row - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor='#c9ccd1', linewidth=0.8))
            if mark == WALL:
                axes.add_patch(Rectangle(corner, 1, 1, color=STONE, linewidth=0))
            elif mark in world.falls:
                axes.add_patch(Rectangle(corner, 1, 1, color=ABYSS, linewidth=0))
            elif mark in world.ends:
                color = GOOD if world.ends[mark] == best else BAD
                axes.add_patch(Rectangle(corner, 1, 1, color=color, linewidth=0))
                style = {'ha': 'center', 'va': 'center', 'fontsize': 13, 'weight': 'bold'}
                axes.text(column, row, mark, color='white', **style)
            elif mark != FLOOR and labels:
                pay = f' {world.jumps[mark][1]:+g}' if mark in world.jumps else ''
                outlined(axes, column - 0.44, row - 0.42, mark + pay)
    if labels:
        for mark, (target, _) in world.jumps.items():
            (x0, y0), (x1, y1) = place(world, mark), place(world, target)
            arrow = FancyArrowPatch(
                (x0 + 0.4, y0 + 0.1), (x1 + 0.4, y1 - 0.1), color=PATH, linewidth=1.4,
                connectionstyle='arc3,rad=-0.1', arrowstyle='-|>', mutation_scale=11,
            )  # fmt: skip
            axes.add_patch(arrow)
    for column, strength in enumerate(world.wind):
        text = '↑' * strength or '·'
        axes.text(column, height - 0.2, text, ha='center', va='center', fontsize=11, color=PALE)
    axes.add_patch(
        Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=STONE, linewidth=1.6)
    )


def place(world, mark):
    """(x, y) of the first cell drawn as `mark`."""
    row = next(i for i, line in enumerate(world.rows) if mark in line)
    return world.rows[row].index(mark), row


def outlined(axes, x, y, text):
    """Small text that reads on any color."""
    from matplotlib.patheffects import withStroke

    stroke = [withStroke(linewidth=1.5, foreground='white')]
    axes.text(x, y, text, fontsize=8, va='top', color=INK, path_effects=stroke, zorder=5)


def arrows(axes, row, column, shares):
    """An arrow for each action, from the middle of a cell; a single one is centered."""
    most = shares.max()
    taken = (shares > 0.02) & (shares > 0.1 * most)
    back = 0.24 if taken.sum() == 1 else 0.0
    for (down, right), share in zip(MOVES, np.where(taken, shares, 0), strict=True):
        if share:
            length = 0.16 + 0.22 * share / most - 0.5 * back
            tip, tail = ((column + at * right, row + at * down) for at in (length, -back))
            style = {'arrowstyle': '-|>', 'color': INK, 'linewidth': 1.3, 'mutation_scale': 8}
            axes.annotate('', tip, tail, arrowprops={**style, 'shrinkA': 0, 'shrinkB': 0})


def trace(axes, world, path):
    """A line through the states of an episode, a dot where it begins."""
    rows, columns = world.cells[path].T
    axes.plot(columns, rows, color=PATH, linewidth=6, alpha=0.45, solid_joinstyle='round')
    axes.plot(columns[0], rows[0], 'o', color=PATH, markersize=11)
