"""The grid of what is empty: marching against rendering every step, cells against brute force."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.radiance import occupancy as grids
from jaxcv.radiance import packed as packing
from jaxcv.radiance import sampling, volume

LOW, HIGH = [-1.0, -0.5, 0.0], [1.0, 1.5, 3.0]


def random_grid(levels, cells=6, share=0.3, seed=0):
    grid = grids.unknown(LOW, HIGH, cells, levels)
    occupied = np.random.default_rng(seed).random(grid.occupied.shape) < share
    return grid._replace(occupied=jnp.asarray(occupied))


def rays(count):
    """From anywhere, towards the box."""
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(count, 3)) * 2 + [0, 0.5, 1.5]
    directions = rng.uniform(LOW, HIGH, (count, 3)) - origins
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return jnp.asarray(origins, jnp.float32), jnp.asarray(directions, jnp.float32)


def cell(grid, point):
    """(level, i, j, k) of a point in float64, or None outside."""
    low, high = np.array(LOW), np.array(HIGH)
    levels, cells = grid.density.shape[:2]
    for level in range(levels):
        place = ((np.float64(point) - (low + high) / 2) / (high - low) * 2**-level + 0.5) * cells
        if ((place >= 0) & (place < cells)).all():
            return (level, *place.astype(int))
    return None


@pytest.mark.parametrize('levels', [1, 3])
def test_points_are_looked_up_in_the_finest_level_that_holds_them(levels):
    grid = random_grid(levels)
    points = np.random.default_rng(1).normal(size=(500, 3)) * 2 + [0, 0.5, 1.5]
    occupied, inside = jax.jit(grids.lookup)(grid, jnp.asarray(points, jnp.float32))
    cells = [cell(grid, point) for point in points]
    np.testing.assert_array_equal(inside, [c is not None for c in cells])
    known = np.asarray(grid.occupied)
    np.testing.assert_array_equal(occupied, [c is not None and known[c] for c in cells])
    low, high = grids.bounds(grid)
    held = ((points > low) & (points < high)).all(-1)
    np.testing.assert_array_equal(inside, held)


def test_rays_meet_the_box():
    low, high = jnp.array([0.0, 0.0, 0.0]), jnp.array([1.0, 2.0, 3.0])
    origins = jnp.array([[-1, 1, 1], [0.5, 0.5, 0.5], [-1, 5, 1], [0, 1, -2], [2, 1, 1]], float)
    directions = jnp.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]], float)
    near, far = grids.intersect(origins, directions, low, high)
    np.testing.assert_allclose(near[:2], [1, 0])
    np.testing.assert_allclose(far[:2], [2, 2.5])
    assert near[2] == far[2] and near[4] == far[4]  # beside, and behind
    np.testing.assert_allclose([near[3], far[3]], [2, 5])  # along a face
    origins, directions = rays(200)
    near, far = grids.intersect(origins, directions, low, high)
    t = jnp.linspace(0.001, 12, 2001)
    points = origins[:, None] + t[:, None] * directions[:, None]
    inside = ((points > low) & (points < high)).all(-1)
    between = (t > near[:, None]) & (t < far[:, None])
    assert (inside == between).mean() > 0.9999 and 0.02 < inside.mean() < 0.5


@pytest.mark.parametrize('levels', [1, 2])
def test_marching_misses_nothing_that_the_grid_knows(levels):
    """Every step rendered, with the field set to 0 in cells that are not occupied, gives the same
    as the few samples of occupied cells."""
    grid, (origins, directions) = random_grid(levels), rays(40)
    keys = jax.random.split(jax.random.key(0), 40)

    def field(points):
        return 1 + jnp.sin(3 * points).sum(-1) ** 2, jnp.cos(points)

    @jax.jit
    def both(grid):
        near, far = grids.intersect(origins, directions, *grids.bounds(grid))
        edges = sampling.paced(near, far, 0.05, 150, keys)
        packed, outside = grids.march(grid, origins, directions, edges, 3000)
        few = packing.render(packed, *field(packing.points(packed, origins, directions)[0]))
        centers = volume.intervals(edges)[1]
        points = origins[:, None] + centers[..., None] * directions[:, None]
        density, color = field(points)
        known = grids.lookup(grid, points)[0]
        every = volume.render(jnp.where(known, density, 0.0), color, edges)
        return edges, packed, outside, few, every

    edges, packed, outside, few, every = both(grid)
    assert packed.lost.sum() == 0 and outside.sum() == 0
    assert 100 < packed.valid.sum() < 0.5 * (np.diff(edges) > 0).sum()
    for name in ('values', 'opacity', 'depth'):
        np.testing.assert_allclose(getattr(few, name), getattr(every, name), rtol=2e-4, atol=1e-5)


def test_what_lies_outside_or_beyond_the_capacity_is_counted():
    grid = random_grid(1, share=1.0)
    origins = jnp.array([[0.0, 0.5, -1.0], [5.0, 5.0, 5.0]])
    directions = jnp.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    edges = jnp.broadcast_to(jnp.linspace(0, 5, 51), (2, 51))  # the box is from t = 1 to t = 4
    march = jax.jit(grids.march, static_argnums=4)
    packed, outside = march(grid, origins, directions, edges, 64)
    np.testing.assert_array_equal(outside, [20, 50])
    assert packed.valid.sum() == 30 and packed.lost.sum() == 0
    packed, _ = march(grid, origins, directions, edges, 24)
    np.testing.assert_array_equal(packed.lost, [6, 0])


def ball(points):
    return jnp.where(jnp.square(points - jnp.array([0, 0.5, 1.5])).sum(-1) < 0.5, 40.0, 0.0)


@pytest.mark.parametrize('levels', [1, 2])
def test_an_update_finds_what_is_dense(levels):
    grid = grids.unknown(LOW, HIGH, 12, levels)
    assert grid.occupied.all()
    grid = jax.jit(lambda key: grids.update(grid, ball, key, threshold=0.5))(jax.random.key(0))
    low, high = np.array(LOW), np.array(HIGH)
    for level in range(levels):
        step = (high - low) / 12 * 2**level
        start = np.stack(np.indices((12, 12, 12)), -1) * step + (low + high) / 2 - 6 * step
        corners = start[..., None, :] + step * np.stack(np.indices((2, 2, 2)), -1).reshape(8, 3)
        held = np.asarray(ball(corners)) > 0
        center = np.asarray(ball(start + step / 2)) > 0
        found = np.asarray(grid.occupied[level])
        assert found[held.all(-1)].all()
        near = held.any(-1) | center  # a ball may also touch a face alone, but hardly
        assert (found & ~near).sum() <= 0.01 * found.sum() and found.sum() > 10


def test_density_decays_and_comes_back():
    grid = grids.unknown(LOW, HIGH, 4)
    keys = jax.random.split(jax.random.key(0), 5)
    grid = grids.update(grid, lambda x: 2.0 + 0 * x[:, 0], keys[0], threshold=1.0)
    np.testing.assert_array_equal(grid.density, 2)
    assert grid.occupied.all()
    lower = grids.update(grid, lambda x: 0.1 + 0 * x[:, 0], keys[1], decay=0.75, threshold=1.0)
    np.testing.assert_array_equal(lower.density, 1.5)
    for key in keys[2:4]:
        half = lambda x: jnp.where(x[:, 0] > 0, 5.0, 0.0)  # noqa: E731
        lower = grids.update(lower, half, key, decay=0.75, threshold=0.9)
    assert not lower.occupied[0, :2].any() and lower.occupied[0, 2:].all()
    back = grids.update(lower, lambda x: 2.0 + 0 * x[:, 0], keys[4], threshold=1.0)
    assert back.occupied.all()
    # Where the mean is below the threshold, what is above the mean stays.
    empty = grids.unknown(LOW, HIGH, 4)
    thin = grids.update(empty, lambda x: jnp.where(x[:, 0] > 0, 0.2, 0.1), keys[0], threshold=1.0)
    assert not thin.occupied[0, :2].any() and thin.occupied[0, 2:].all()
    even = grids.update(empty, lambda x: 0.1 + 0 * x[:, 0], keys[0], threshold=1.0)
    assert even.occupied.all()


def test_an_update_of_some_cells_leaves_the_others():
    grid = random_grid(2, cells=8, share=0.05)
    grid = grid._replace(density=grid.occupied * 4.0)

    @jax.jit
    def some(key):
        return grids.update(grid, lambda x: 1.0 + 0 * x[:, 0], key, cells=100, decay=0.5)

    seen = np.zeros(grid.density.shape)
    for key in jax.random.split(jax.random.key(1), 40):
        density = np.asarray(some(key).density)
        changed = density != grid.density
        assert 0 < changed.sum() <= 100
        np.testing.assert_array_equal(density[changed & grid.occupied], 2)
        np.testing.assert_array_equal(density[changed & ~grid.occupied], 1)
        seen += changed
    # Half of the draws are among the occupied cells, which are one in twenty.
    assert seen[np.asarray(grid.occupied)].mean() > 5 * seen[~np.asarray(grid.occupied)].mean() > 0
    np.testing.assert_array_equal(some(jax.random.key(2)).density, some(jax.random.key(2)).density)
