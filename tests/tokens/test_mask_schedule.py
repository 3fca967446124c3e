"""How many tokens stay unknown."""

import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens import schedule


def table(name, count, steps):
    """Of `count` unknown tokens, those unknown after every step."""
    now, found = jnp.array([count]), []
    for step in range(steps):
        now = schedule.left(name, step, steps, jnp.array([count]), now)
        found.append(int(now[0]))
    return found


def test_the_table_of_16_tokens_in_8_steps():
    assert table('cosine', 16, 8) == [15, 14, 13, 11, 8, 6, 3, 1]


@pytest.mark.parametrize('name', schedule.SCHEDULES)
@pytest.mark.parametrize('count,steps', [(16, 16), (256, 8), (64, 12), (5, 2), (3, 8), (0, 4)])
def test_against_the_formula(name, count, steps):
    formulas = {
        'cosine': lambda r: np.cos(np.pi * r / 2),
        'linear': lambda r: 1 - r,
        'square': lambda r: 1 - r**2,
        'cubic': lambda r: 1 - r**3,
        'root': lambda r: 1 - r**0.5,
        'arccos': lambda r: 2 / np.pi * np.arccos(r),
    }
    now, expected = count, []
    for step in range(steps):
        part = count * formulas[name]((step + 1) / steps)
        now = max(0, min(max(int(part + 1e-9), 1), now - 1))
        expected.append(now)
    assert table(name, count, steps) == expected
    parts = np.asarray(schedule.unknown(name, jnp.linspace(0, 1, 9)))
    np.testing.assert_allclose(parts[[0, -1]], [1, 0], atol=1e-6)
    assert (np.diff(parts) < 0).all()


def test_whole_products_are_not_rounded_away():
    for steps in range(2, 50):
        linear = table('linear', steps, steps)
        assert linear == [*range(steps - 1, 0, -1), 0], steps


def test_errors():
    with pytest.raises(UserError, match='17 steps for 16 tokens'):
        schedule.check(17, 16)
    with pytest.raises(UserError, match='0 steps'):
        schedule.check(0, 16)
    with pytest.raises(UserError, match="did you mean 'cosine'"):
        schedule.unknown('cosin', 0.5)
