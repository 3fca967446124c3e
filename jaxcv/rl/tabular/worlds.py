"""The grid worlds of Sutton & Barto, and a few more, by name."""

import inspect

from jaxcv.errors import choose
from jaxcv.rl.tabular.gridworld import GridWorld, grid


def jumps(discount: float = 0.9, slip: float = 0.0) -> GridWorld:
    """Example 3.5: from A every action leads to a for 10, from B to b for 5; leaving costs 1."""
    return grid(
        ('.A.B.', '.....', '...b.', '.....', '.a...'),
        jumps={'A': ('a', 10.0), 'B': ('b', 5.0)},
        bump=-1.0,
        slip=slip,
        discount=discount,
    )


def corners(discount: float = 1.0, slip: float = 0.0) -> GridWorld:
    """Example 4.1: every step costs 1, two corners end it."""
    drawing = ('G...', '....', '....', '...G')
    return grid(drawing, ends={'G': -1.0}, cost=1.0, slip=slip, discount=discount)


def windy(discount: float = 1.0, slip: float = 0.0) -> GridWorld:
    """Example 6.5: every step costs 1, and the wind in the middle pushes up."""
    floor = '.' * 10
    return grid(
        (floor, floor, floor, 'S......G..', floor, floor, floor),
        ends={'G': -1.0},
        cost=1.0,
        wind=(0, 0, 0, 1, 1, 1, 2, 2, 1, 0),
        slip=slip,
        discount=discount,
    )


def cliff(discount: float = 1.0, slip: float = 0.0) -> GridWorld:
    """Example 6.6: every step costs 1, stepping off the cliff 100 and the way from the start."""
    return grid(
        ('.' * 12, '.' * 12, '.' * 12, 'S' + 'C' * 10 + 'G'),
        ends={'G': -1.0},
        falls={'C': -100.0},
        cost=1.0,
        slip=slip,
        discount=discount,
    )


def rooms(discount: float = 0.97, slip: float = 0.2) -> GridWorld:
    """Four rooms (Sutton, Precup and Singh, 1999) on slippery ground, a pit in the doorway of the
    shorter way."""
    return grid(
        (
            'S....#.....',
            '.....#.....',
            '...........',
            '.....#.....',
            '.....#.....',
            '#.####.....',
            '.....###.##',
            '.....#.....',
            '.....#..P..',
            '...........',
            '.....#....G',
        ),
        ends={'G': 1.0, 'P': -1.0},
        slip=slip,
        discount=discount,
    )


def drawing(drawing, **fields) -> GridWorld:
    """A world of one's own: the arguments of `grid`."""
    return grid(drawing, **fields)


WORLDS = {world.__name__: world for world in (jumps, corners, windy, cliff, rooms, drawing)}


def world(name: str, **fields) -> GridWorld:
    """The world called `name`, with some of its numbers replaced."""
    make = WORLDS[choose(name, WORLDS, 'config.env.name')]
    signature = grid if make is drawing else make
    for field in fields:
        choose(field, inspect.signature(signature).parameters, f'a field of config.env ({name})')
    return make(**fields)
