"""Nearest neighbors, Chamfer distance and F-score: brute force, SciPy's tree, derivatives."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy.spatial import cKDTree

from jaxcv.surfaces import comparison

names = comparison.nearest, comparison.distances, comparison.compare, comparison.chamfer
nearest, distances, compare, chamfer = map(jax.jit, names)


def points(count, seed=0, dimensions=3):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype('f')


@pytest.mark.parametrize(('n', 'm'), [(1, 1), (40, 16), (100, 33), (7, 500)])
def test_against_a_tree(n, m):
    a, b = points(n), points(m, 1)
    expected, index = cKDTree(b.astype('d')).query(a.astype('d'))
    np.testing.assert_array_equal(nearest(a, b), index)
    np.testing.assert_allclose(distances(a, b), expected, rtol=1e-5)


def test_small_distances_far_from_the_origin_keep_their_digits():
    b = points(200) + 100
    a = b[:50] + np.float32(2**-14)
    np.testing.assert_allclose(distances(a, b), 3**0.5 * 2**-14, rtol=1e-6)


def test_ties_and_other_dimensions():
    assert nearest(np.zeros((1, 3), 'f'), np.ones((5, 3), 'f')) == 0
    a, b = points(20, 0, 2), points(30, 1, 2)
    np.testing.assert_array_equal(nearest(a, b), cKDTree(b).query(a)[1])


def test_comparison():
    found = np.float32([[0, 0, 0], [1, 0, 0], [5, 0, 0]])
    true = np.float32([[0, 0, 0.5], [1, 0, 0]])
    result = compare(found, true, 0.75)
    accuracy, completeness = (0.5 + 0 + 4) / 3, (0.5 + 0) / 2
    expected = accuracy, completeness, (accuracy + completeness) / 2, 2 / 3, 1.0, 0.8
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(chamfer(found, true), result.chamfer, rtol=1e-6)
    # Nothing within the threshold; a distance of the threshold is not.
    np.testing.assert_array_equal(compare(found + 99, true, 0.1)[3:], 0)
    assert compare(found[:1], true[:1], 0.5).precision == 0


def test_derivatives():
    with jax.enable_x64(True):
        a, b = (jnp.asarray(points(n, seed), jnp.float64) for n, seed in ((6, 0), (9, 1)))
        for argument in (0, 1):
            gradient = jax.grad(chamfer, argument)(a, b)
            for i, k in ((0, 0), (3, 2), (5, 1)):
                step = jnp.zeros_like((a, b)[argument]).at[i, k].set(1e-6)
                ahead, behind = (
                    chamfer(*(x + s * step if j == argument else x for j, x in enumerate((a, b))))
                    for s in (1, -1)
                )
                np.testing.assert_allclose(gradient[i, k], (ahead - behind) / 2e-6, atol=1e-8)
    same = jax.grad(chamfer)(points(5), points(5))
    np.testing.assert_array_equal(same, 0)
