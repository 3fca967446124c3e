"""Grid worlds: drawings become dynamics."""

import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.rl.tabular import worlds
from jaxcv.rl.tabular.gridworld import grid

UP, RIGHT, DOWN, LEFT = range(4)


def state(world, row, column):
    return int(np.flatnonzero((world.cells == [row, column]).all(1))[0])


def outcome(world, cell, action):
    """(cell, reward) of a move that is certain."""
    here = state(world, *cell)
    after = np.asarray(world.mdp.transition[here, action])
    assert np.isclose(after.max(), 1)
    return tuple(world.cells[after.argmax()]), float(world.mdp.reward[here, action, after.argmax()])


def test_walls_and_borders_stop():
    world = grid(('S#.', '..G'), ends={'G': 5.0}, cost=1.0, bump=-2.0)
    assert outcome(world, (0, 0), RIGHT) == ((0, 0), -2.0)
    assert outcome(world, (0, 0), UP) == ((0, 0), -2.0)
    assert outcome(world, (0, 0), DOWN) == ((1, 0), -1.0)
    assert outcome(world, (1, 1), RIGHT) == ((1, 2), 5.0)
    assert outcome(world, (1, 2), LEFT) == ((1, 2), 0.0)  # the goal is absorbing
    assert world.mdp.start[state(world, 0, 0)] == 1
    assert np.isnan(world.spread(world.mdp.start)[0, 1])


def test_slipping_turns_by_a_right_angle():
    world = grid(('...', '.S.', '...'), slip=0.2, discount=0.9)
    moves = world.spread(world.mdp.transition[state(world, 1, 1), UP])
    np.testing.assert_allclose(moves, [[0, 0.8, 0], [0.1, 0, 0.1], [0, 0, 0]], atol=1e-7)
    corner = world.spread(world.mdp.transition[state(world, 0, 0), UP])
    np.testing.assert_allclose(corner, [[0.9, 0.1, 0], [0, 0, 0], [0, 0, 0]], atol=1e-7)


def test_ways_to_one_cell_share_its_reward_by_their_probability():
    world = grid(('S',), slip=0.5, discount=0.9, cost=1.0, bump=-3.0)
    np.testing.assert_allclose(world.mdp.expected_reward(), -3.0)
    world = grid(('C', 'S', '.'), falls={'C': -8.0}, slip=0.5, cost=1.0, discount=0.9)
    here = state(world, 1, 0)  # up falls and returns (-8), slipping bumps and stays (-1)
    np.testing.assert_allclose(world.mdp.expected_reward()[here, UP], 0.5 * -8 + 0.5 * -1)


def test_jumps_of_example_3_5():
    world = worlds.world('jumps')
    for action in range(4):
        assert outcome(world, (0, 1), action) == ((4, 1), 10.0)
        assert outcome(world, (0, 3), action) == ((2, 3), 5.0)
    assert outcome(world, (0, 0), UP) == ((0, 0), -1.0)
    assert outcome(world, (1, 1), UP) == ((0, 1), 0.0)


def test_wind_of_example_6_5():
    """One cell to the right of the goal, left leads to the cell just above the goal."""
    world = worlds.world('windy')
    assert outcome(world, (3, 8), LEFT) == ((2, 7), -1.0)
    assert outcome(world, (0, 7), RIGHT) == ((0, 8), -1.0)  # the border stops the wind
    assert outcome(world, (5, 6), RIGHT) == ((3, 7), -1.0)  # blown into the goal
    assert outcome(world, (3, 0), RIGHT) == ((3, 1), -1.0)


def test_the_cliff_of_example_6_6():
    world = worlds.world('cliff')
    assert world.mdp.states == 38
    assert outcome(world, (3, 0), RIGHT) == ((3, 0), -100.0)
    assert outcome(world, (2, 5), DOWN) == ((3, 0), -100.0)
    assert outcome(world, (2, 11), DOWN) == ((3, 11), -1.0)


@pytest.mark.parametrize(
    ('drawing', 'fields', 'message'),
    [
        (('..', '...'), {}, 'equally long'),
        ((), {}, 'equally long'),
        (('.X',), {}, "'X'"),
        (('##',), {}, 'nowhere to start'),
        (('S.',), {'slip': 2.0, 'discount': 0.9}, 'slip is 2.0'),
        (('S.',), {'wind': (1,), 'discount': 0.9}, '2 columns'),
        (('SA',), {'jumps': {'A': ('b', 1.0)}, 'discount': 0.9}, 'where a jump'),
        (('S.',), {}, 'no terminal state'),
    ],
)
def test_mistakes(drawing, fields, message):
    with pytest.raises(UserError, match=message):
        grid(drawing, **fields)


def test_worlds_by_name():
    assert worlds.world('drawing', drawing=('SG',), ends={'G': 1.0}).mdp.states == 2
    with pytest.raises(UserError, match="did you mean 'cliff'"):
        worlds.world('clif')
    with pytest.raises(UserError, match="did you mean 'discount'"):
        worlds.world('cliff', discont=0.9)
