"""Codebooks: how evenly they are used, vectors picked from a batch, k-means."""

import jax
import numpy as np
import pytest
import scipy.stats
from jax import numpy as jnp

from jaxcv.ops import across
from jaxcv.tokens import codebook as codebooks

DEVICES = 8


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def split_over(function, devices, *arrays):
    """function(*shards, keys) under pmap; a batch of 16 whose keys depend on the place in it."""
    shards = [x.reshape(devices, -1, *x.shape[1:]) for x in arrays]

    def local(*shards):
        return function(*shards, across.keys(jax.random.key(3), len(shards[0])))

    chosen = jax.devices()[:devices]
    return jax.pmap(local, across.DATA, devices=chosen)(*shards)


def test_perplexity_and_usage():
    np.testing.assert_allclose(codebooks.perplexity(jnp.arange(12) % 4, 6), 4, rtol=1e-5)
    np.testing.assert_allclose(codebooks.perplexity(jnp.full((3, 4), 5), 6), 1, rtol=1e-5)
    counts = np.random.default_rng(0).integers(0, 5, 50)
    entropy = scipy.stats.entropy(counts)
    np.testing.assert_allclose(codebooks.evenness(jnp.asarray(counts)), np.exp(entropy), rtol=1e-5)
    np.testing.assert_allclose(codebooks.usage(jnp.asarray(counts)), (counts > 0).mean())
    codes = jnp.repeat(jnp.arange(50), jnp.asarray(counts), total_repeat_length=counts.sum())
    np.testing.assert_array_equal(codebooks.counts(codes, 50), counts)


def test_dead_codes_are_far_below_the_average():
    counts = jnp.asarray([0.0, 0.4, 0.6, 19.0])
    np.testing.assert_array_equal(codebooks.dead(counts, 0.1), [True, True, False, False])
    assert not codebooks.dead(jnp.zeros(3), 0.1).any()


def test_picked_vectors_are_different_ones_of_the_batch():
    vectors, keys = normal(5, 7, 3), jax.random.split(jax.random.key(0), 5)
    pick = jax.jit(codebooks.pick, static_argnums=2)
    found = np.asarray(pick(vectors, keys, 35))
    wanted = np.asarray(vectors).reshape(35, 3)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)])
    assert (found != wanted).any()
    others = jax.random.split(jax.random.key(1), 5)
    assert (pick(vectors, others, 35) != found).any()
    more = pick(vectors, keys, 50)
    np.testing.assert_array_equal(more[35:], found[:15])


def test_every_vector_is_picked_equally_often():
    vectors = jnp.arange(24.0).reshape(4, 6, 1)
    keys = jax.random.split(jax.random.key(2), (3000, 4))
    picked = jax.jit(jax.vmap(lambda k: codebooks.pick(vectors, k, 2)))(keys)
    counts = np.bincount(np.asarray(picked).astype(int).ravel(), minlength=24)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_all_devices_pick_what_one_picks():
    vectors = normal(16, 5, 3)
    (one,) = split_over(lambda v, keys: codebooks.pick(v, keys, 20), 1, vectors)
    for devices in (2, DEVICES):
        found = split_over(lambda v, keys: codebooks.pick(v, keys, 20), devices, vectors)
        for each in found:
            np.testing.assert_array_equal(each, one)


def clusters():
    """16 x 20 vectors around 4 corners, 80 at each."""
    corners = np.asarray([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    around = np.random.default_rng(0).normal(size=(80, 4, 2)).astype(np.float32) * 0.3 + corners
    return around, jnp.asarray(around.reshape(16, 20, 2))


def test_kmeans_is_a_fixed_point_of_lloyds_algorithm():
    vectors, keys = normal(10, 30, 2), jax.random.split(jax.random.key(0), 10)
    centers = np.asarray(codebooks.kmeans(vectors, keys, 5, 60), np.float64)
    flat = np.float64(vectors).reshape(-1, 2)
    found = np.square(flat[:, None] - centers).sum(-1).argmin(-1)
    for code in range(5):
        np.testing.assert_allclose(flat[found == code].mean(0), centers[code], atol=1e-4)


@pytest.mark.parametrize('devices', [1, DEVICES])
def test_kmeans_finds_clusters_on_any_devices(devices):
    around, vectors = clusters()
    found = split_over(lambda v, keys: codebooks.kmeans(v, keys, 4, 20), devices, vectors)
    one = np.asarray(found[0])
    np.testing.assert_allclose(found, np.broadcast_to(one, found.shape), atol=1e-6)
    order = np.argsort(one @ [1, 2])
    np.testing.assert_allclose(one[order], around.mean(0)[[0, 1, 2, 3]], atol=1e-5)


def test_a_center_nearest_to_none_stays():
    vectors, keys = jnp.ones((2, 3, 2)), jax.random.split(jax.random.key(0), 2)
    np.testing.assert_array_equal(codebooks.kmeans(vectors, keys, 4, 3), jnp.ones((4, 2)))


def test_a_fresh_codebook_is_small():
    codebook = codebooks.small(jax.random.key(0), 8, 4)
    assert 0.1 < np.abs(codebook).max() <= 1 / 8
