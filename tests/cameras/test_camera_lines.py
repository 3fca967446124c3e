"""Points that are nearest to lines."""

import numpy as np
from jax import numpy as jnp
from scipy.optimize import least_squares

from jaxcv.cameras.lines import nearest


def lines(count, seed=0):
    random = np.random.default_rng(seed)
    ways = random.normal(size=(count, 3))
    return random.normal(size=(count, 3)), ways / np.linalg.norm(ways, axis=1, keepdims=True)


def test_where_lines_meet():
    origins, ways = lines(5)
    point = np.array([0.5, -2.0, 1.0])
    through = point - 3 * origins[:, :1] * ways
    np.testing.assert_allclose(nearest(jnp.float32(through), jnp.float32(ways)), point, atol=2e-3)


def test_the_least_squares_of_lines_that_do_not_meet():
    origins, ways = lines(6)
    best = least_squares(lambda x: np.cross(x - origins, ways).ravel(), np.zeros(3)).x
    found = nearest(jnp.float32([origins, origins + 1]), jnp.float32([ways, ways]))
    np.testing.assert_allclose(found, [best, best + 1], atol=2e-3)


def test_parallel_lines():
    origins, ways = lines(4)
    found = nearest(jnp.float32(origins), jnp.float32(np.repeat(ways[:1], 4, 0)))
    np.testing.assert_allclose(found, origins.mean(0), atol=2e-3)
