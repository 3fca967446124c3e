"""Which levels are visited: published indices, invariants of all grids, mistakes."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules, spacing
from jaxcv.errors import UserError

DISCRETE = schedules.discrete(schedules.linear())
ZERO = schedules.discrete(schedules.zero_terminal_snr(schedules.linear()))
GRIDS = {
    'leading': lambda n: spacing.leading(DISCRETE, n),
    'trailing': lambda n: spacing.trailing(DISCRETE, n),
    'trailing_zero': lambda n: spacing.trailing(ZERO, n),
    'linspace': lambda n: spacing.linspace(DISCRETE, n),
    'fractional': lambda n: spacing.linspace(DISCRETE, n, rounded=False),
    'fractional_zero': lambda n: spacing.linspace(ZERO, n, rounded=False),
    'short': lambda n: spacing.linspace(DISCRETE, n, short=True),
    'karras': lambda n: spacing.karras(DISCRETE, n),
    'edm': lambda n: spacing.edm(schedules.edm(), n),
    'flow': lambda n: spacing.flow(schedules.flow(3.0), n),
}


@pytest.mark.parametrize('n', [1, 2, 7, 50])
@pytest.mark.parametrize('name', GRIDS)
def test_grids_fall_to_a_clean_level(name, n):
    levels = GRIDS[name](n)
    assert all(x.shape == (n + 1,) and np.isfinite(x).all() for x in levels)
    assert (levels.alpha[-1], levels.sigma[-1]) == (1, 0)
    share = np.float64(levels.sigma) / (np.float64(levels.alpha) + levels.sigma)
    assert (np.diff(share) < 0).all()
    assert levels.time[-1] == levels.time[-2]
    if name not in ('leading', 'linspace', 'fractional', 'fractional_zero', 'karras', 'edm'):
        top = {'flow': 1000, 'short': 999}.get(name, 999)
        assert levels.time[0] == top


@pytest.mark.parametrize(
    'name,first,last',
    [
        ('leading', [900, 800, 700], [100, 0]),
        ('trailing', [999, 899, 799], [199, 99]),
        ('linspace', [999, 888, 777], [111, 0]),
        ('short', [999, 899, 799], [200, 100]),
    ],
)
def test_ten_steps(name, first, last):
    time = GRIDS[name](10).time[:-1]
    np.testing.assert_array_equal(time[:3], first)
    np.testing.assert_array_equal(time[-2:], last)


def test_trailing_steps_that_do_not_divide():
    time = GRIDS['trailing'](13).time[:-1]  # multiples of 76.92, not of 76
    np.testing.assert_array_equal(time[:3], [999, 922, 845])
    np.testing.assert_array_equal(time[-2:], [153, 76])


@pytest.mark.parametrize('name', ['leading', 'trailing', 'linspace'])
def test_any_number_of_steps_up_to_all(name, monkeypatch):
    monkeypatch.setattr(spacing, 'path', lambda process, times: np.asarray(times))
    for n in range(1, 1001):
        times = getattr(spacing, name)(DISCRETE, n)
        assert len(times) == n and (np.diff(times) < 0).all()
        assert times.min() >= 0 and times.max() <= 999
    np.testing.assert_array_equal(times, np.arange(1000)[::-1])


def test_the_ramp_is_even_in_its_root():
    levels = spacing.edm(schedules.edm(), 18)
    root = np.float64(levels.sigma[:-1]) ** (1 / 7)
    np.testing.assert_allclose(np.diff(root), np.diff(root).mean(), rtol=1e-4)
    np.testing.assert_allclose(levels.sigma[np.array([0, -2])], [80, 0.002], rtol=1e-6)
    karras = spacing.karras(DISCRETE, 18, low=0.1, high=10.0)
    ratio = np.float64(karras.sigma[:-1]) / np.float64(karras.alpha[:-1])
    np.testing.assert_allclose(np.diff(ratio ** (1 / 7)), np.diff(ratio ** (1 / 7)).mean(), 1e-4)
    np.testing.assert_allclose(ratio[[0, -1]], [10, 0.1], rtol=1e-6)
    np.testing.assert_allclose(karras.alpha**2 + karras.sigma**2, 1, rtol=1e-6)


def test_times_of_karras_lead_to_their_levels():
    """Between indices the two interpolations differ by little: the network is told the truth."""
    levels = spacing.karras(DISCRETE, 18)
    there = DISCRETE.level(levels.time[:-1])
    np.testing.assert_allclose(there.sigma / there.alpha, (levels.sigma / levels.alpha)[:-1], 2e-3)


def test_even_steps_of_the_flow():
    levels = spacing.flow(schedules.flow(), 8)
    np.testing.assert_allclose(levels.sigma, np.linspace(1, 0, 9), atol=1e-7)
    shifted = spacing.flow(schedules.flow(3.0), 4)
    np.testing.assert_allclose(shifted.sigma, [1, 0.9, 0.75, 0.5, 0], rtol=1e-6)


@pytest.mark.parametrize('name', GRIDS)
def test_grids_can_be_made_inside_jit(name):
    jax.tree.map(np.testing.assert_array_equal, jax.jit(lambda: GRIDS[name](5))(), GRIDS[name](5))


def test_any_times_make_a_path():
    levels = spacing.path(DISCRETE, jnp.array([999, 400, 3]))
    np.testing.assert_array_equal(levels.time, [999, 400, 3, 3])


@pytest.mark.parametrize('name', ['leading', 'trailing', 'linspace', 'karras'])
def test_more_steps_than_the_schedule_has(name):
    with pytest.raises(UserError, match='1001 sampling steps, but the schedule has 1000'):
        GRIDS[name](1001)
    with pytest.raises(UserError, match='take between 1 and 1000'):
        GRIDS[name](0)


def test_mistakes():
    with pytest.raises(UserError, match='take between 1 and 999'):
        GRIDS['short'](1000)
    with pytest.raises(UserError, match='use flow or edm instead'):
        spacing.leading(schedules.flow(), 10)
    with pytest.raises(UserError, match='ends with zero SNR'):
        spacing.karras(ZERO, 10)
    for name in ('flow', 'edm'):
        with pytest.raises(UserError, match='take at least 1'):
            GRIDS[name](0)
    with pytest.raises(UserError, match='offset'):
        spacing.leading(DISCRETE, 1000, offset=1)
    for grid in (spacing.flow, spacing.edm):
        with pytest.raises(UserError, match='the process is discrete'):
            grid(DISCRETE, 10)


def test_grids_by_name():
    found = spacing.levels('karras', DISCRETE, 5, rho=3.0)
    jax.tree.map(np.testing.assert_array_equal, found, spacing.karras(DISCRETE, 5, 3.0))
    with pytest.raises(UserError, match="did you mean 'trailing'"):
        spacing.levels('trailin', DISCRETE, 5)
    with pytest.raises(UserError, match="a field of spacing 'karras'"):
        spacing.levels('karras', DISCRETE, 5, roh=3.0)
