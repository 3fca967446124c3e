"""Lists of tiles against the ellipses' closest points in float64."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.splat.projection import FAINT, Projected, root
from jaxcv.splat.tiles import MANY, Grid, expand, intersect, radii
from jaxcv.splat.walk import lanes, to_image, to_tiles

find = jax.jit(intersect, static_argnums=(1, 2))


def scattered(count=60, seed=0, longest=40.0):
    """Gaussians of all shapes in and around an image of about 100x70."""
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(2, count, 3)) * np.exp(draw.uniform(-2, np.log(longest), (count, 1)))
    y[::3] = x[::3] * 1.1  # oblique needles
    roots, _ = root(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    means = draw.uniform(-60, 150, (count, 2))
    depths, opacities = draw.uniform(1, 5, count), draw.uniform(0, 1, count) ** 2
    depths[1::4] = depths[::4][: len(depths[1::4])]  # equal ones
    return Projected(*(jnp.asarray(v, jnp.float32) for v in (means, roots, depths, opacities)))


def brightest(projected, grid, width=np.inf, height=np.inf):
    """[tile, n]: alpha where it is highest in the rectangle of a tile's pixel centers within the
    image: at the mean or on one of the four sides."""
    means, roots, _, _ = (np.asarray(x, np.float64) for x in projected)
    a, b, c = roots.T
    xx, xy, yy = a * a, a * b, b * b + c * c
    row, column = np.divmod(np.arange(grid.tiles)[:, None], grid.columns)
    left, top = (x * grid.size + 0.5 - m for x, m in ((column, means[:, 0]), (row, means[:, 1])))
    right = np.minimum(left + grid.size - 1, width - 0.5 - means[:, 0])
    bottom = np.minimum(top + grid.size - 1, height - 0.5 - means[:, 1])
    candidates = [np.where((left <= 0) & (right >= 0) & (top <= 0) & (bottom >= 0), 0, np.inf)]
    for x in (left, right):
        y = np.clip(-xy / yy * x, top, bottom)
        candidates.append(xx * x * x + 2 * xy * x * y + yy * y * y)
    for y in (top, bottom):
        x = np.clip(-xy / xx * y, left, right)
        candidates.append(xx * x * x + 2 * xy * x * y + yy * y * y)
    return np.asarray(projected.opacities) * np.exp(-np.min(candidates, 0) / 2)


def listed(lists, grid, count):
    found = np.zeros((grid.tiles, count), int)
    for tile in range(grid.tiles):
        members = np.asarray(lists.members[lists.bounds[tile] : lists.bounds[tile + 1]])
        np.add.at(found[tile], members, 1)
    return found


@pytest.mark.parametrize('seed', range(3))
def test_lists_are_complete_and_tight(seed):
    projected, grid = scattered(seed=seed), Grid(100, 70)
    lists = find(projected, grid, 2048)
    assert lists.overflow == 0
    found = listed(lists, grid, 60)
    assert (found[brightest(projected, grid, 100, 70) >= FAINT * 1.0001] == 1).all()
    assert (found[brightest(projected, grid) < FAINT * 0.95] == 0).all()
    assert found.max() == 1 and found.sum() > 100


def test_front_to_back():
    """Equal depths keep their order."""
    projected, grid = scattered(seed=1), Grid(100, 70)
    lists = find(projected, grid, 2048)
    depths = np.asarray(projected.depths)
    for tile in range(grid.tiles):
        members = np.asarray(lists.members[lists.bounds[tile] : lists.bounds[tile + 1]])
        np.testing.assert_array_equal(members, members[np.lexsort((members, depths[members]))])


def test_many_tiles_sort_alike():
    """Where tile and rank do not fit in 32 bits; 65 x 2^26 does not."""
    from jaxcv.splat.tiles import _by_tile

    draw = np.random.default_rng(0)
    tile = jnp.asarray(draw.integers(0, 64, 500), jnp.int32)
    rank = jnp.asarray(np.sort(draw.integers(0, 40, 500)), jnp.int32)
    for tiles in (64, 1 << 27):
        found = jax.jit(functools.partial(_by_tile, tiles=tiles, ranks=40))(tile, rank)
        order = np.lexsort((rank, tile))
        np.testing.assert_array_equal(found[0], tile[order])
        np.testing.assert_array_equal(found[1], rank[order])


def test_overflow_counts_what_is_missing():
    projected, grid = scattered(), Grid(100, 70)
    enough = find(projected, grid, 4096)
    total = int(enough.bounds[-1])
    assert find(projected, grid, total).overflow == 0
    assert find(projected, grid, total - 1).overflow == 1
    assert find(projected, grid, 7).overflow > 50
    assert find(projected, grid, 7).bounds[-1] <= 7


def test_expand():
    counts = jnp.array([0, 3, 0, 0, 1, 2, 0], jnp.int32)
    owner, repetition, total = expand(counts, 8)
    assert total == 6
    np.testing.assert_array_equal(owner[:6], [1, 1, 1, 4, 5, 5])
    np.testing.assert_array_equal(repetition[:6], [0, 1, 2, 0, 0, 1])
    np.testing.assert_array_equal(expand(counts, 4)[0], [1, 1, 1, 4])
    assert expand(jnp.full(70_000, 1 << 16, jnp.int32), 4)[2] == MANY  # fewer than there are


def test_radii():
    """Where the opacity has fallen to 1/255: along the axes of a round one, and 0 for a faint."""
    opacities = jnp.array([1.0, 0.5, 1 / 255, 0.001])
    round_ones = Projected(
        jnp.zeros((4, 2)), jnp.tile(jnp.array([0.5, 0, 0.5]), (4, 1)), None, opacities
    )
    expected = 2 * np.sqrt(2 * np.log([255, 127.5, 1, 1]))
    np.testing.assert_allclose(radii(round_ones), np.stack([expected, expected], 1), atol=1e-3)
    # An oblique one: the box of its covariance.
    x, y = jnp.array([[3.0, 1, 0]]), jnp.array([[-1.0, 2, 0]])
    oblique = Projected(jnp.zeros((1, 2)), root(x, y)[0], None, jnp.ones(1))
    expected = np.sqrt(2 * np.log(255) * np.array([10.3, 5.3]))
    np.testing.assert_allclose(radii(oblique)[0], expected, rtol=1e-5)


def test_images_as_tiles_and_back():
    grid = Grid(37, 50, 16)
    image = np.random.default_rng(0).normal(size=(50, 37, 2)).astype('f')
    lists = find(scattered(), grid, 2048)
    groups, order = lanes(lists, grid, jnp.float32)
    tiles = to_tiles(jnp.asarray(image), order, grid)
    np.testing.assert_array_equal(to_image(tiles, order, grid), image)
    lengths = np.asarray(groups.ends - groups.starts).reshape(-1)
    assert (np.diff(lengths) <= 0).all() and lengths.sum() == lists.bounds[-1]
    place = list(np.asarray(order)).index(4)  # row 1, column 1
    np.testing.assert_array_equal(groups.middles.reshape(-1, 2)[place], [24, 24])
    tile = tiles.reshape(-1, 2, 16, 16)[place]
    np.testing.assert_array_equal(tile, image[16:32, 16:32].transpose(2, 0, 1))
