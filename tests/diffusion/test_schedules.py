"""Schedules against closed forms and published end points."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules
from jaxcv.diffusion.process import snr
from jaxcv.errors import UserError

ALL = {
    name: getattr(schedules, name)
    for name in ('linear', 'scaled_linear', 'sigmoid', 'cosine', 'sigmoid_path')
}


@pytest.mark.parametrize('steps', [100, 1000, 4000])
@pytest.mark.parametrize('name', ALL)
def test_schedules_fall(name, steps):
    alpha_bar = ALL[name](steps)
    assert alpha_bar.shape == (steps,)
    assert (np.diff(alpha_bar) < 0).all() and 0 < alpha_bar[-1] < alpha_bar[0] < 1
    np.testing.assert_allclose(schedules.accumulated(schedules.betas(alpha_bar)), alpha_bar)


@pytest.mark.parametrize(
    'name,end', [('linear', 4.04e-5), ('scaled_linear', 4.66e-3), ('cosine', 2.43e-9)]
)
def test_published_ends(name, end):
    np.testing.assert_allclose(ALL[name]()[-1], end, rtol=2e-3)


@pytest.mark.parametrize('name', ['linear', 'scaled_linear', 'sigmoid'])
def test_the_end_hardly_depends_on_the_number_of_steps(name):
    ends = [np.log(ALL[name](steps)[-1]) for steps in (500, 1000, 4000)]
    np.testing.assert_allclose(ends, ends[1], rtol=0.02)


def test_closed_forms():
    t = (np.arange(1000) + 1) / 1000
    path = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedules.cosine()[:-1], path[:-1], rtol=1e-9)
    np.testing.assert_allclose(schedules.sigmoid_path()[499], 0.5, rtol=1e-9)  # by symmetry
    rise = np.tanh(-1.5 * (2 * t - 1) / 1) / np.tanh(1.5) / 2 + 0.5
    np.testing.assert_allclose(schedules.sigmoid_path()[:-1], rise[:-1], rtol=1e-9)


@pytest.mark.parametrize('name', ALL)
def test_zero_terminal_snr_moves_the_end_only(name):
    before = ALL[name]()
    after = schedules.zero_terminal_snr(before)
    assert after[-1] == 0 and (np.diff(after) < 0).all()
    np.testing.assert_allclose(after[0], before[0], rtol=1e-12)
    level = schedules.discrete(after).level(jnp.int32(999))
    assert level.alpha == 0 and level.sigma == 1 and snr(level) == 0


def test_too_few_steps_for_the_betas():
    with pytest.raises(UserError, match='take more steps'):
        schedules.linear(10)


# Discrete levels


def test_discrete_levels():
    alpha_bar = schedules.cosine()
    process = schedules.discrete(alpha_bar)
    levels = process.level(jnp.arange(-1, 1000))
    assert (levels.alpha[0], levels.sigma[0], levels.time[0]) == (1, 0, 0)
    np.testing.assert_allclose(levels.alpha[1:], np.sqrt(alpha_bar), rtol=1e-6)
    np.testing.assert_allclose(levels.sigma[1:], np.sqrt(1 - alpha_bar), rtol=1e-6)
    np.testing.assert_array_equal(levels.time[1:], np.arange(1000))
    assert process.steps == 1000 and process.top == 999
    times = process.draw(jax.random.split(jax.random.key(0), 2000))
    assert times.dtype == jnp.int32 and times.min() >= 0 and times.max() <= 999


@pytest.mark.parametrize('zero', [False, True])
def test_between_indices(zero):
    alpha_bar = schedules.linear(100)
    alpha_bar = schedules.zero_terminal_snr(alpha_bar) if zero else alpha_bar
    process = schedules.discrete(alpha_bar)
    whole = process.level(jnp.arange(100))
    np.testing.assert_array_equal(process.level(jnp.arange(100.0)).alpha, whole.alpha)
    np.testing.assert_array_equal(process.level(jnp.arange(100.0)).sigma, whole.sigma)
    t = jnp.linspace(0, 98, 57)
    found = process.level(t)
    ratio = np.interp(t, np.arange(99), (whole.sigma / whole.alpha)[:99])
    np.testing.assert_allclose(found.sigma / found.alpha, ratio, rtol=1e-5)
    np.testing.assert_allclose(found.alpha**2 + found.sigma**2, 1, rtol=1e-6)
    np.testing.assert_array_equal(found.time, t)
    near = process.level(jnp.float32(98.5))
    assert np.isfinite(near).all() and (near.alpha == 0) == zero


# Continuous levels


@pytest.mark.parametrize('shift', [1.0, 3.0, 6.93])
def test_the_flow_is_shifted_once(shift):
    """The shift s multiplies sigma/alpha by s: for images with s^2 times the pixels (Esser et al.
    2024, section 5.3.2)."""
    process = schedules.flow(shift)
    t = jnp.linspace(0, 0.99, 30)
    level = process.level(t)
    np.testing.assert_allclose(level.sigma / level.alpha, shift * t / (1 - t), rtol=1e-4)
    np.testing.assert_allclose(level.alpha + level.sigma, 1, rtol=1e-6)
    np.testing.assert_allclose(level.time, 1000 * level.sigma, rtol=1e-6)
    ends = process.level(jnp.array([0.0, process.top]))
    np.testing.assert_array_equal(ends.alpha, [1, 0])
    np.testing.assert_array_equal(ends.sigma, [0, 1])
    slope = jax.vmap(jax.grad(lambda t: process.level(t).sigma))(t)
    np.testing.assert_allclose(slope, shift / (1 + (shift - 1) * t) ** 2, rtol=1e-5)


def test_edm_levels():
    process = schedules.edm()
    level = process.level(jnp.array([0.002, 1.0, process.top]))
    np.testing.assert_array_equal(level.alpha, 1)
    np.testing.assert_allclose(level.time, np.log([0.002, 1, 80]) / 4, rtol=1e-5, atol=1e-7)
    assert np.isfinite(process.level(0.0).time)


@pytest.mark.parametrize('build', [schedules.flow, schedules.edm])
def test_where_to_train_can_be_chosen(build):
    process = build(draw=lambda keys: jnp.full(len(keys), 0.25))
    np.testing.assert_array_equal(process.draw(jax.random.split(jax.random.key(0), 3)), 0.25)


# By name


def test_processes_by_name():
    found = schedules.process('cosine', steps=50).level(jnp.arange(50))
    expected = schedules.discrete(schedules.cosine(50)).level(jnp.arange(50))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert schedules.process('linear', zero_snr=True).level(jnp.int32(999)).alpha == 0
    assert schedules.process('flow', shift=3.0).level(0.5).sigma == 0.75
    fields = {'name': 'log_normal', 'mean': 2.0, 'std': 1e-3}
    process = schedules.process('edm', high=20.0, draw=fields)
    assert process.top == 20
    times = process.draw(jax.random.split(jax.random.key(0), 4))
    np.testing.assert_allclose(np.log(times), 2, atol=0.01)


@pytest.mark.parametrize(
    'fields,words',
    [
        ({'name': 'cosin'}, "did you mean 'cosine'"),
        ({'name': 'cosine', 'step': 50}, "did you mean 'steps'"),
        ({'name': 'flow', 'zero_snr': True}, 'discrete schedules'),
        ({'name': 'linear', 'draw': {'name': 'uniform'}}, "field of process 'linear'"),
        ({'name': 'edm', 'draw': {'name': 'normal'}}, 'the draw of times'),
        ({'name': 'edm', 'draw': {'name': 'log_normal', 'men': 1.0}}, "did you mean 'mean'"),
    ],
)
def test_mistakes_in_names(fields, words):
    with pytest.raises(UserError, match=words):
        schedules.process(**fields)
