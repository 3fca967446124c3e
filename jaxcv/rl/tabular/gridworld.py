"""Grid worlds from drawings.

    grid('''S.#.
            ..#G
            ....''', ends={'G': 1.0}, slip=0.1, discount=0.95)

In a drawing `#` is a wall, `.` is floor and `S` where episodes start (anywhere on the floor, if
there is no `S`); what other characters do is said beside the drawing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxcv.errors import UserError, choose
from jaxcv.rl.tabular.mdp import MDP, make

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # actions: up, right, down, left, as (row, column)
WALL, FLOOR, START = '#', '.', 'S'


@dataclass(frozen=True, eq=False)
class GridWorld:
    """A grid world with its drawing. States are the cells one can be in, row by row."""

    mdp: MDP
    rows: tuple[str, ...]
    cells: Int[np.ndarray, 's 2']  # (row, column) of every state
    ends: Mapping[str, float]  # as in `grid`
    falls: Mapping[str, float]
    jumps: Mapping[str, tuple[str, float]]
    wind: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), len(self.rows[0])

    def spread(self, values: Float[np.ndarray, 's *k']) -> Float[np.ndarray, 'h w *k']:
        """One value per state as a map, NaN where there is no state."""
        values = np.asarray(values, float)
        canvas = np.full((*self.shape, *values.shape[1:]), np.nan)
        canvas[tuple(self.cells.T)] = values
        return canvas


def grid(
    drawing: str | Sequence[str],
    *,
    ends: Mapping[str, float] | None = None,
    falls: Mapping[str, float] | None = None,
    jumps: Mapping[str, tuple[str, float]] | None = None,
    cost: float = 0.0,
    bump: float | None = None,
    slip: float = 0.0,
    wind: Sequence[int] = (),
    discount: float = 1.0,
) -> GridWorld:
    """The world of a drawing.

    ends: characters of terminal cells, and the reward of entering one.
    falls: characters of cells whose entering pays this reward and leads back to the start.
    jumps: characters of cells that every action leaves for (the cell drawn as, with reward).
    cost: every other action has reward -cost.
    bump: the reward of running into a wall or the border; by default -cost too.
    slip: probability that the world turns an action by 90 degrees, half to each side.
    wind: for each column, how many cells it pushes up whoever moves from there.
    """
    rows = _rows(drawing)
    ends, falls, jumps = dict(ends or {}), dict(falls or {}), dict(jumps or {})
    _check(rows, ends, falls, jumps, slip, wind)
    bump = -cost if bump is None else bump
    cells = np.array([at for at, mark in _marks(rows) if mark not in (WALL, *falls)])
    number = {tuple(cell): i for i, cell in enumerate(cells)}
    marks = [rows[row][column] for row, column in cells]
    start = np.array([mark == START for mark in marks], float)
    if not start.any():
        start = np.array([mark == FLOOR for mark in marks], float)
    start /= start.sum()
    states, actions = len(cells), len(MOVES)
    transition = np.zeros((states, actions, states))
    reward = np.zeros_like(transition)

    def outcome(state, move):
        """(distribution of the next state, reward) of a move that the world carries out."""
        row, column = cells[state]
        if marks[state] in jumps:
            target, pay = jumps[marks[state]]
            return np.eye(states)[marks.index(target)], pay
        stay = (row, column)
        arrived = _move(rows, stay, move)
        pay = bump if arrived == stay else -cost
        for _ in range(wind[column] if wind else 0):
            arrived = _move(rows, arrived, MOVES[0])
        mark = rows[arrived[0]][arrived[1]]
        if mark in falls:
            return start, falls[mark]
        return np.eye(states)[number[arrived]], ends.get(mark, pay)

    for state in range(states):
        for action in range(actions):
            turns = ((0, 1 - slip), (1, slip / 2), (-1, slip / 2))
            for turn, probability in turns:
                after, pay = outcome(state, MOVES[(action + turn) % actions])
                transition[state, action] += probability * after
                # Several ways may lead to one cell with different rewards: their mean.
                reward[state, action] += probability * after * pay
    reward = reward / np.where(transition > 0, transition, 1)
    terminal = [i for i, mark in enumerate(marks) if mark in ends]
    return GridWorld(
        make(transition, reward, discount, terminal, start),
        rows, cells, ends, falls, jumps, tuple(wind),
    )  # fmt: skip


def _rows(drawing):
    rows = drawing.split() if isinstance(drawing, str) else [str(row) for row in drawing]
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        lengths = [len(row) for row in rows]
        raise UserError(f'the rows of a drawing have lengths {lengths}, but must be equally long')
    return tuple(rows)


def _marks(rows):
    """((row, column), character) of every cell."""
    return [((i, j), mark) for i, row in enumerate(rows) for j, mark in enumerate(row)]


def _move(rows, cell, move):
    """The neighboring cell, or the same one where there is a wall or the border."""
    row, column = cell[0] + move[0], cell[1] + move[1]
    inside = 0 <= row < len(rows) and 0 <= column < len(rows[0])
    return (row, column) if inside and rows[row][column] != WALL else tuple(cell)


def _check(rows, ends, falls, jumps, slip, wind):
    known = {WALL, FLOOR, START, *ends, *falls, *jumps, *(target for target, _ in jumps.values())}
    drawn = {mark for _, mark in _marks(rows)}
    for mark in sorted(drawn):
        choose(mark, known, 'a character of the drawing')
    for mark, (target, _) in jumps.items():
        choose(target, drawn - {WALL, *falls}, f'where a jump from {mark!r} leads')
    if not drawn & {FLOOR, START}:
        raise UserError('the drawing has nowhere to start: draw floor (.) or a start (S)')
    if not 0 <= slip <= 1:
        raise UserError(f'slip is {slip}, but must be a probability')
    if wind and len(wind) != len(rows[0]):
        raise UserError(f'wind has {len(wind)} numbers, but the drawing {len(rows[0])} columns')
