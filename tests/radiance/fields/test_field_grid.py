"""Interpolation on grids against an explicit loop in double precision."""

import itertools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.radiance.fields import grid
from jaxcv.radiance.fields.hash import HashGrid

# Cells, rows and features: dense in 1, 2 and 3 axes, and hashed in 2 and 3.
KINDS = {
    'line': ((5,), 6, 2),
    'plane': ((5, 3), 24, 1),
    'dense': ((2, 3, 4), 60, 2),
    'hashed': ((11, 9, 14), 64, 4),
    'hashed plane': ((40, 30), 32, 2),
}
kinds = pytest.mark.parametrize('kind', KINDS)


def arrays(kind, count=23, seed=0):
    """Table, positions (a few beyond the box) and a gradient of the values, in float64."""
    cells, rows, features = KINDS[kind]
    generator = np.random.default_rng(seed)
    positions = generator.uniform(-1.05, 1.05, (count, len(cells)))
    positions[0], positions[1] = 1.0, -1.0
    return (
        generator.normal(size=(rows, features)),
        positions,
        generator.normal(size=(count, features)),
        cells,
    )


def row_of(node, cells, rows):
    """Of the paper's equation 4 in Python's integers, or of the array [cells + 1]."""
    if np.prod(np.add(cells, 1)) <= rows:
        return int(np.ravel_multi_index(node, np.add(cells, 1)))
    found = 0
    for coordinate, prime in zip(node, (1, 2_654_435_761, 805_459_861), strict=False):
        found ^= coordinate * prime
    return found % rows


def explicit(table, positions, gradient, cells):
    """Values, and the gradients of table and positions, corner by corner."""
    values, of_table = np.zeros_like(gradient), np.zeros_like(table)
    of_positions = np.zeros_like(positions)
    for i, position in enumerate(positions):
        scaled = (np.clip(position, -1, 1) + 1) / 2 * cells
        low = np.minimum(np.floor(scaled), np.subtract(cells, 1)).astype(int)
        share = scaled - low
        for corner in itertools.product((0, 1), repeat=len(cells)):
            factors = [s if c else 1 - s for s, c in zip(share, corner, strict=True)]
            row = row_of([int(x) for x in low + corner], cells, len(table))
            values[i] += np.prod(factors) * table[row]
            of_table[row] += np.prod(factors) * gradient[i]
            for axis, count in enumerate(cells):
                others = np.prod(factors[:axis] + factors[axis + 1 :])
                slope = (2 * corner[axis] - 1) * count / 2 * others
                inside = abs(position[axis]) <= 1
                of_positions[i, axis] += inside * slope * (table[row] @ gradient[i])
    return values, of_table, of_positions


lookup = jax.jit(grid.interpolate, static_argnums=2)


@jax.jit
def pulled(pull, gradient):
    return pull(gradient)


@kinds
def test_values_and_gradients_are_those_of_a_loop(kind):
    table, positions, gradient, cells = arrays(kind)
    given = [jnp.asarray(x, jnp.float32) for x in (table, positions, gradient)]
    found, pull = jax.vjp(lambda t, p: grid.interpolate(t, p, cells), *given[:2])
    expected = explicit(table, positions, gradient, cells)
    for a, b in zip((found, *pulled(pull, given[2])), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * max(1, np.abs(b).max()))


@kinds
def test_position_gradients_are_finite_differences(kind):
    table, positions, _, cells = arrays(kind)
    inside = np.clip(positions, -0.99, 0.99)
    with jax.enable_x64(True):
        table, inside = jnp.asarray(table), jnp.asarray(inside)
        value = jax.jit(lambda p: jnp.sin(grid.interpolate(table, p, cells)).sum(-1))
        found = jax.jit(jax.grad(lambda p: value(p).sum()))(inside)
        assert found.dtype == jnp.float64
        step = 1e-7
        for axis in range(len(cells)):
            move = step * np.eye(len(cells))[axis]
            expected = (value(inside + move) - value(inside - move)) / (2 * step)
            np.testing.assert_allclose(found[:, axis], expected, rtol=1e-5, atol=1e-6)


def test_gradients_of_normals_are_finite_differences():
    """A loss of the position gradient, as normals have it, with respect to the table."""
    table, positions, direction, cells = arrays('hashed', 6)
    with jax.enable_x64(True):
        given = [jnp.asarray(x) for x in (table, positions, direction)]

        def loss(table):
            value = lambda p: (grid.interpolate(table, p, cells) * given[2]).sum()  # noqa: E731
            return jnp.sin(jax.grad(value)(given[1])).sum()

        loss = jax.jit(loss)
        found, step = jax.jit(jax.grad(loss))(given[0]), 1e-6
        move = jnp.asarray(np.random.default_rng(1).normal(size=table.shape))
        expected = (loss(given[0] + step * move) - loss(given[0] - step * move)) / (2 * step)
        np.testing.assert_allclose((found * move).sum(), expected, rtol=1e-6)


@pytest.mark.parametrize('cells', [(3, 5, 4), (6, 2)])
def test_multilinear_functions_are_exact(cells):
    generator = np.random.default_rng(0)
    axes = [np.linspace(-1, 1, count + 1) for count in cells]
    corners = list(itertools.product((0, 1), repeat=len(cells)))
    coefficients = generator.normal(size=(len(corners), 3))

    def function(x):
        products = [np.prod(np.where(corner, x, 1), -1) for corner in corners]
        return np.stack(products, -1) @ coefficients

    nodes = np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, len(cells))
    table = jnp.asarray(function(nodes), jnp.float32)
    positions = generator.uniform(-1, 1, (50, len(cells)))
    found = lookup(table, jnp.asarray(positions, jnp.float32), cells)
    np.testing.assert_allclose(found, function(positions), atol=1e-5)
    np.testing.assert_allclose(
        lookup(table, jnp.asarray(nodes, jnp.float32), cells), table, atol=1e-5
    )


def test_what_is_not_a_number_stays_in_the_table():
    table, _, _, cells = arrays('hashed')
    found = lookup(jnp.asarray(table, jnp.float32), jnp.full((2, 3), jnp.nan), cells)
    assert np.isnan(found).all()


def test_it_maps_over_tables():
    table, positions, _, cells = arrays('hashed')
    tables, positions = jnp.stack([table, 2 * table]), jnp.asarray(positions)
    found = jax.vmap(
        lambda t: jax.grad(lambda t: (grid.interpolate(t, positions, cells) ** 2).sum())(t)
    )(tables)
    np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-4, atol=1e-5)


def test_errors_say_what_fits():
    with pytest.raises(UserError, match='power of two'):
        grid.interpolate(jnp.zeros((60, 2)), jnp.zeros((1, 3)), (9, 9, 9))
    with pytest.raises(UserError, match='2 coordinates'):
        grid.interpolate(jnp.zeros((60, 2)), jnp.zeros((1, 2)), (9, 9, 9))


def test_levels_of_a_hash_grid():
    """Instant-NGP's from 16 to 2048 in 16 levels; each is its own lookup."""
    wide = HashGrid(16, 2**19, 2, 16, (2048 / 16) ** (1 / 15))
    assert wide.cells()[0] == 16 and wide.cells()[-1] == 2048
    encoder = HashGrid(4, 2**7, 2, 2, 1.5)
    assert encoder.cells() == [2, 3, 4, 6]
    positions = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (9, 3)), jnp.float32)
    params = encoder.init(jax.random.key(0), positions)['params']
    assert [len(params[f'level{i}']) for i in range(4)] == [27, 64, 125, 128]
    extremes = jax.tree.map(lambda x: np.abs(x).max(), params)
    assert min(extremes.values()) > 5e-5 and max(extremes.values()) <= 1e-4
    found = encoder.apply({'params': params}, positions).reshape(9, 4, 2)
    for i, count in enumerate(encoder.cells()):
        expected = grid.interpolate(params[f'level{i}'], positions, (count,) * 3)
        np.testing.assert_allclose(found[:, i], expected, atol=1e-9)
