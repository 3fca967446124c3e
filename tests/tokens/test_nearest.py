"""The search against brute force in double precision; sums against numpy."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from jaxcv.tokens.nearest import multiplied, nearest, rows, scattered, sums


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def distances(z, codebook):
    return np.square(np.float64(z)[..., None, :] - np.float64(codebook)).sum(-1)


# Vectors, codes, channels and block: few, since each combination compiles.
SIZES = st.sampled_from([(1, 1, 1, None), (40, 13, 5, None), (40, 13, 2, 7), (21, 30, 2, 7)])
SEEDS = st.integers(0, 10_000)
search = jax.jit(nearest, static_argnums=2)


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, offset=st.sampled_from([0.0, 10.0]), seed=SEEDS)
def test_nearest_is_brute_force(sizes, offset, seed):
    n, k, d, block = sizes
    z, codebook = normal(n, d, seed=seed) + offset, normal(k, d, seed=seed + 1) + offset
    exact, found = distances(z, codebook), np.asarray(search(z, codebook, block))
    assert found.shape == (n,) and found.min() >= 0 and found.max() < k
    reached = np.take_along_axis(exact, found[:, None], -1)[:, 0]
    np.testing.assert_allclose(reached, exact.min(-1), atol=1e-5 * (1 + offset**2))


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, seed=SEEDS)
def test_the_first_of_equals(sizes, seed):
    """On a small grid many distances are equal, and all of them are exact."""
    n, k, d, block = sizes
    generator = np.random.default_rng(seed)
    z, codebook = (generator.integers(-2, 3, (m, d)).astype(np.float32) for m in (n, k))
    exact = distances(z, codebook).argmin(-1)
    np.testing.assert_array_equal(search(z, codebook, block), exact)


def test_blocks_change_nothing():
    z, codebook = normal(3, 7, 5, 4), normal(19, 4, seed=1)
    whole = nearest(z, codebook)
    np.testing.assert_array_equal(whole, distances(z, codebook).argmin(-1))
    for block in (7, 35, 104, 106):
        np.testing.assert_array_equal(nearest(z, codebook, block), whole)


def largest(jaxpr):
    """The most elements of any array in a program, in what it calls too."""
    sizes = [v.aval.size for equation in jaxpr.eqns for v in equation.outvars]
    called = [p.jaxpr for e in jaxpr.eqns for p in e.params.values() if hasattr(p, 'jaxpr')]
    return max([*sizes, *map(largest, called)], default=0)


@pytest.mark.parametrize('block', [32, None])
def test_no_array_of_all_distances(block):
    z, codebook = jnp.zeros((64, 256, 2)), jnp.zeros((1024, 2))
    jaxpr = jax.make_jaxpr(lambda z, e: nearest(z, e, block))(z, codebook).jaxpr
    assert largest(jaxpr) == 1024 * (block or 256)
    compiled = jax.jit(lambda z, e: nearest(z, e, block)).lower(z, codebook).compile()
    scores = 4 * 1024 * 64 * 256
    assert compiled.memory_analysis().temp_size_in_bytes < scores / 10


def test_what_is_not_a_number_still_has_a_code():
    z = jnp.asarray([[jnp.nan, 0.0], [1.0, 1.0]])
    found = nearest(z, normal(5, 2))
    assert 0 <= found[0] < 5 and found.dtype == jnp.int32


def test_half_precision_is_compared_in_single():
    z, codebook = normal(50, 6), normal(11, 6, seed=1)
    z, codebook = z.astype(jnp.bfloat16), codebook.astype(jnp.bfloat16)
    exact = distances(z, codebook).argmin(-1)
    np.testing.assert_array_equal(nearest(z, codebook), exact)


@settings(max_examples=10, deadline=None)
@given(sizes=SIZES, seed=SEEDS)
def test_sums_in_both_ways(sizes, seed):
    n, k, d, _ = sizes
    vectors = normal(n, d, seed=seed)
    codes = jnp.asarray(np.random.default_rng(seed).integers(0, k, n))
    wanted = np.zeros((k, d))
    np.add.at(wanted, np.asarray(codes), np.float64(vectors))
    for way in (scattered, multiplied, sums):
        np.testing.assert_allclose(way(vectors, codes, k), wanted, atol=1e-5)


def test_a_product_of_several_blocks(monkeypatch):
    monkeypatch.setattr('jaxcv.tokens.nearest.SCORES', {'cpu': 70, 'other': 70})
    vectors, codes = normal(33, 3), jnp.arange(33) % 7
    assert largest(jax.make_jaxpr(lambda *a: multiplied(*a, 7))(vectors, codes).jaxpr) < 33 * 7
    np.testing.assert_allclose(
        multiplied(vectors, codes, 7), scattered(vectors, codes, 7), atol=1e-6
    )


def test_rows_are_rows_with_their_gradient():
    codebook, codes = normal(6, 4), jnp.asarray([[0, 5, 5], [2, 5, 0]])
    weights = normal(2, 3, 4, seed=1)
    np.testing.assert_array_equal(rows(codebook, codes), codebook[codes])
    found = jax.grad(lambda e: (rows(e, codes) * weights).sum())(codebook)
    wanted = jax.grad(lambda e: (e[codes] * weights).sum())(codebook)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    mapped = jax.vmap(rows, (None, 0))(codebook, codes)
    np.testing.assert_array_equal(mapped, codebook[codes])
