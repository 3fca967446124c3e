"""Truncation against numpy, draws against their probabilities."""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens.pick import Pick, cumulative, draw, nats, uniform

LAST = np.float32(1 - 2**-24)  # the largest number below 1 that noise can be


def logits(*shape, seed=0, spread=2.0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * spread


@pytest.mark.parametrize('count', [1, 3, 50, 80])
def test_top_k_keeps_the_k_highest(count):
    x = logits(5, 50)
    found = np.asarray(Pick(top_k=count)(x))
    for row, kept in zip(x, found, strict=True):
        highest = np.argsort(-row)[:count]
        np.testing.assert_array_equal(np.sort(np.flatnonzero(np.isfinite(kept))), np.sort(highest))
        np.testing.assert_array_equal(kept[highest], row[highest])


@pytest.mark.parametrize('part', [0.01, 0.5, 0.9, 1.0])
@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.0])
def test_top_p_keeps_the_fewest_that_sum_to_p(part, temperature):
    x = logits(5, 50, seed=1)
    found = np.asarray(Pick(temperature, top_p=part)(x))
    for row, kept in zip(x / np.float32(temperature), found, strict=True):
        order = np.argsort(-row)
        sums = np.cumsum(scipy.special.softmax(row.astype(np.float64))[order])
        count = 50 if part == 1 else np.searchsorted(sums, part) + 1
        np.testing.assert_array_equal(np.flatnonzero(np.isfinite(kept)), np.sort(order[:count]))


def test_both_and_none():
    x = logits(4, 9, seed=2)
    np.testing.assert_array_equal(Pick()(x), x)
    few = Pick(1.0, 4, 0.5)(x)
    np.testing.assert_array_equal(few, Pick(top_p=0.5)(Pick(top_k=4)(x)))
    np.testing.assert_array_equal(np.isfinite(Pick(0)(x)).argmax(-1), x.argmax(-1))
    assert (np.isfinite(Pick(0)(x)).sum(-1) == 1).all()


@pytest.mark.parametrize('pick', [Pick(top_k=0), Pick(top_p=0.0), Pick(top_p=1.5)])
def test_limits_that_keep_nothing_are_refused(pick):
    with pytest.raises(UserError, match='must be'):
        pick(logits(1, 3))


@pytest.mark.parametrize('size', [3, 32, 33, 100, 1025])
def test_draws_follow_their_probabilities(size):
    x = logits(size, seed=3)
    noise = uniform(jax.random.split(jax.random.key(0), 100), (400,))
    codes = np.asarray(draw(jnp.broadcast_to(x, (100, 400, size)), noise)).ravel()
    expected = scipy.special.softmax(x.astype(np.float64)) * codes.size
    often = expected > 5
    counts = np.bincount(codes, minlength=size)
    observed = [*counts[often], counts[~often].sum()][: often.sum() + (~often).any()]
    wanted = [*expected[often], expected[~often].sum()][: len(observed)]
    assert scipy.stats.chisquare(observed, wanted).pvalue > 1e-3


def test_a_draw_is_the_inverse_of_the_cumulative_distribution():
    x = logits(1000, 40, seed=4)
    noise = np.linspace(0, 1, 1000, endpoint=False, dtype=np.float32)
    sums = np.cumsum(scipy.special.softmax(x.astype(np.float64), -1), -1)
    clear = abs(sums - noise[:, None]).min(-1) > 1e-5
    expected = (sums <= noise[:, None]).sum(-1)
    np.testing.assert_array_equal(draw(x, noise)[clear], expected[clear])
    assert clear.mean() > 0.9


@pytest.mark.parametrize('noise', [0.0, 1e-38, 0.3, LAST])
def test_no_draw_is_impossible(noise):
    x = logits(2000, 200, seed=5, spread=8.0)
    kept = np.random.default_rng(6).random(x.shape) < 0.05
    kept[:, 7] |= ~kept.any(-1)
    x = np.where(kept, x, -np.inf)
    codes = np.asarray(draw(x, jnp.full(len(x), noise)))
    assert np.take_along_axis(kept, codes[:, None], -1).all()
    if noise == 0:  # less likely than what float32 tells from 0 is passed over
        likely = x > x.max(-1, keepdims=True) - 80
        np.testing.assert_array_equal(codes, likely.argmax(-1))


def test_cumulative_sums():
    x = np.random.default_rng(7).random((3, 2, 77)).astype(np.float32)
    np.testing.assert_allclose(cumulative(jnp.asarray(x)), np.cumsum(x, -1), rtol=1e-6)


def test_nats_against_scipy():
    x = logits(6, 11, seed=8, spread=30.0)
    codes = np.arange(6)
    expected = -scipy.special.log_softmax(x.astype(np.float64), -1)[np.arange(6), codes]
    np.testing.assert_allclose(nats(x, codes), expected, rtol=1e-5, atol=1e-5)
