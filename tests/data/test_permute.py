import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp
from scipy.stats import chisquare

from jaxcv.data.permute import ROUNDS, permute, permute_host


def round_keys(seed, shape=()):
    return jax.random.bits(jax.random.key(seed), (*shape, ROUNDS))


def whole(n, keys):
    return permute_host(np.arange(n), n, np.asarray(keys))


@settings(max_examples=80, deadline=None)
@given(n=st.integers(1, 3000), seed=st.integers(0, 2**31))
def test_is_a_bijection_for_every_size(n, seed):
    keys = np.random.default_rng(seed).integers(0, 2**32, ROUNDS, np.uint32)
    assert sorted(whole(n, keys)) == list(range(n))


@pytest.mark.parametrize('n', [1, 2, 3, 7, 16, 1437])
def test_device_and_host_agree(n):
    keys = round_keys(0)
    result = jax.jit(permute, static_argnums=1)(jnp.arange(n), n, jnp.tile(keys, (n, 1)))
    np.testing.assert_array_equal(result, whole(n, keys))


def test_largest_sizes_stay_in_range_and_distinct():
    n = 2**31 - 1
    position = jnp.concatenate([jnp.arange(1000), n - 1 - jnp.arange(1000)]).astype(jnp.int32)
    result = np.asarray(permute(position, n, jnp.tile(round_keys(1), (2000, 1))))
    assert len(np.unique(result)) == 2000
    assert result.min() >= 0
    assert result.max() < n


@pytest.mark.parametrize('n', [3, 10, 50])
def test_first_position_goes_everywhere_equally_often(n):
    first = permute(jnp.zeros(20_000, jnp.int32), n, round_keys(2, (20_000,)))
    assert chisquare(np.bincount(first, minlength=n)).pvalue > 1e-4


def test_all_orders_of_four_are_equally_likely():
    keys = jnp.repeat(round_keys(3, (12_000,)), 4, axis=0)
    orders = permute(jnp.tile(jnp.arange(4), 12_000), 4, keys).reshape(-1, 4)
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-4


def test_neighbors_are_not_kept_together():
    gaps = np.diff(whole(10_000, round_keys(4)))
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1] + 0.5) < 0.05  # -1/2 for a random order
