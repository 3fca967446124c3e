"""What outputs mean: consistency at every level, both ends, and the published formulas."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import parameterization as param
from jaxcv.diffusion import schedules, spacing
from jaxcv.diffusion.process import Level, noised, per_sample
from jaxcv.errors import UserError

NAMES = ['eps', 'x0', 'v', 'flow', 'edm']
LEVELS = Level(  # variance preserving, a flow, EDM
    jnp.array([0.99, 0.6, 0.05, 0.9, 0.2, 1.0, 1.0]),
    jnp.array([0.141, 0.8, 0.9987, 0.1, 0.8, 0.01, 50.0]),
    jnp.arange(7.0),
)
ENDS = Level(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.zeros(2))


def pair(n=7, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, n, 4, 3)), jnp.float32)


@pytest.mark.parametrize('name', NAMES)
def test_the_target_explains_x(name):
    """predict(target) gives back what x was made of, to the precision that the level leaves."""
    x0, noise = pair()
    x = noised(x0, noise, LEVELS)
    kind = param.parameterization(name)
    found = kind.predict(kind.target(x0, noise, LEVELS), x, LEVELS)
    worst = per_sample(1e-5 * jnp.maximum(LEVELS.sigma / LEVELS.alpha, 1), x0)
    assert (abs(found.x0 - x0) < worst).all()
    worst = per_sample(1e-5 * jnp.maximum(LEVELS.alpha / LEVELS.sigma, 1), x0)
    assert (abs(found.noise - noise) < worst).all()
    assert found.spread is None


@pytest.mark.parametrize('name', NAMES)
def test_every_output_explains_x(name):
    x, output = pair(seed=1)
    found = param.parameterization(name).predict(output, x, LEVELS)
    again = noised(found.x0, found.noise, LEVELS)
    size = jnp.abs(found.x0).max() * LEVELS.alpha + jnp.abs(found.noise).max() * LEVELS.sigma
    assert (abs(again - x) < per_sample(2e-6 * size, x)).all()


@pytest.mark.parametrize('name', ['v', 'flow', 'edm'])
def test_both_ends_are_well_posed(name):
    x0, noise = pair(2, 2)
    x = noised(x0, noise, ENDS)
    kind = param.parameterization(name)
    found = kind.predict(kind.target(x0, noise, ENDS), x, ENDS)
    np.testing.assert_allclose(found.x0, x0, atol=1e-6)
    np.testing.assert_allclose(found.noise, noise, atol=1e-6)
    assert np.isfinite(kind.scale_input(x, ENDS)).all()

    def total(output, x):
        return sum(part.sum() for part in kind.predict(output, x, ENDS)[:2])

    assert all(np.isfinite(slope).all() for slope in jax.grad(total, (0, 1))(noise, x))


def test_the_end_that_each_prediction_has():
    x0, noise = pair(2, 3)
    found = param.x0().predict(x0, x0, ENDS)
    np.testing.assert_array_equal(found.x0, x0)
    np.testing.assert_array_equal(found.noise[0], 0)  # nothing is known of it
    assert np.isfinite(jax.grad(lambda y: param.x0().predict(y, x0, ENDS).noise.sum())(x0)).all()
    clean = jax.tree.map(lambda x: x[0], ENDS)
    found = param.eps().predict(noise, x0, clean)
    np.testing.assert_array_equal(found.x0, x0)
    np.testing.assert_array_equal(found.noise, noise)


def test_v_and_flow_by_their_formulas():
    x0, noise = pair(seed=4)
    alpha, sigma = per_sample(LEVELS.alpha, x0), per_sample(LEVELS.sigma, x0)
    np.testing.assert_array_equal(param.v().target(x0, noise, LEVELS), alpha * noise - sigma * x0)
    np.testing.assert_array_equal(param.flow().target(x0, noise, LEVELS), noise - x0)


@pytest.mark.parametrize('sigma_data', [0.5, 1.0])
def test_edm_by_table_1(sigma_data):
    """c_skip, c_out, c_in of x / alpha at sigma / alpha, in double precision."""
    x, output = pair(seed=5)
    ratio = np.float64(LEVELS.sigma / LEVELS.alpha).reshape(-1, 1, 1)
    y = np.float64(x) / np.float64(LEVELS.alpha).reshape(-1, 1, 1)
    total = ratio**2 + sigma_data**2
    kind = param.parameterization('edm', sigma_data=sigma_data)
    seen = y / np.sqrt(total)
    np.testing.assert_allclose(kind.scale_input(x, LEVELS), seen, rtol=2e-5)
    expected = sigma_data**2 / total * y + ratio * sigma_data / np.sqrt(total) * output
    np.testing.assert_allclose(kind.predict(output, x, LEVELS).x0, expected, rtol=2e-5, atol=2e-5)
    x0, noise = pair(seed=6)
    target = kind.target(x0, noise, LEVELS)
    y = x0 + ratio * noise
    expected = (x0 - sigma_data**2 / total * y) / (ratio * sigma_data / np.sqrt(total))
    np.testing.assert_allclose(target, expected, rtol=1e-3, atol=1e-3)


def test_edm_targets_have_unit_variance():
    x0, noise = jax.random.normal(jax.random.key(0), (2, 7, 20_000))
    target = param.edm(0.3).target(0.3 * x0, noise, LEVELS)
    np.testing.assert_allclose(target.std(1), 1, atol=0.03)


@pytest.mark.parametrize('name', NAMES)
def test_gains_are_measured_errors(name):
    """Move x0 by 1 at the same x: how far does the output move?"""
    x0, noise = pair(seed=7)
    moved = noise - per_sample(LEVELS.alpha / LEVELS.sigma, x0)
    kind = param.parameterization(name)
    change = kind.target(x0 + 1, moved, LEVELS) - kind.target(x0, noise, LEVELS)
    np.testing.assert_allclose(kind.gain(LEVELS), (change**2).mean((1, 2)), rtol=2e-4)


# Denoisers


def test_a_denoiser_scales_tells_the_time_and_splits():
    x, _ = pair(seed=8)
    told = []

    def network(x, time, condition):
        told.append((time, condition))
        return jnp.concatenate([x.astype(jnp.bfloat16), jnp.full(x.shape, 0.5, jnp.bfloat16)], -1)

    level = jax.tree.map(lambda x: x[1], LEVELS)
    denoise = param.denoiser(param.edm(), network, learned_variance=True)
    found = denoise(x, level, 'cat')
    (time, condition) = told[0]
    np.testing.assert_array_equal(time, np.ones(7))
    assert condition == 'cat' and found.x0.dtype == jnp.float32
    seen = param.edm().scale_input(x, level).astype(jnp.bfloat16).astype(jnp.float32)
    np.testing.assert_array_equal(found.x0, param.edm().predict(seen, x, level).x0)
    np.testing.assert_array_equal(found.spread, 0.75)
    with pytest.raises(UserError, match='3 channels are expected'):
        param.denoiser(param.edm(), network)(x, level)


def test_levels_of_samples_and_of_all_agree():
    x, output = pair(seed=9)
    denoise = param.denoiser(param.v(), lambda x, time, condition: output + time[:, None, None])
    level = jax.tree.map(lambda x: x[3], LEVELS)
    each = jax.tree.map(lambda x: jnp.full(7, x), level)
    jax.tree.map(np.testing.assert_array_equal, denoise(x, level), denoise(x, each))


# Thresholding


def fixed(name, output, level):
    return lambda x, _: param.parameterization(name).predict(output, x, level)


@pytest.mark.parametrize('name', NAMES)
def test_clipped_predictions_still_explain_x(name):
    x, output = pair(seed=10)
    for wrap in (param.clipped, param.dynamic):
        free = fixed(name, output, LEVELS)(x, LEVELS)
        found = wrap(fixed(name, output, LEVELS))(x, LEVELS)
        assert abs(found.x0).max() <= 1 < abs(free.x0).max()
        size = jnp.abs(free.x0).max() * LEVELS.alpha + jnp.abs(free.noise).max() * LEVELS.sigma
        again = noised(found.x0, found.noise, LEVELS)
        assert (abs(again - x) < per_sample(5e-6 * size, x)).all()
        assert abs(found.noise - free.noise).max() > 0.1


def test_clipping_leaves_the_rest_alone():
    x, output = pair(seed=11)
    free = fixed('eps', output, LEVELS)(x, LEVELS)
    found = param.clipped(fixed('eps', output, LEVELS), -0.5, 2.0)(x, LEVELS)
    inside = (free.x0 >= -0.5) & (free.x0 <= 2)
    np.testing.assert_array_equal(found.x0, np.clip(free.x0, -0.5, 2.0))
    np.testing.assert_array_equal(found.noise[inside], free.noise[inside])


def test_dynamic_thresholds_by_numpy():
    x, output = pair(seed=12)
    output = 2 * output
    found = param.dynamic(fixed('x0', output, LEVELS), 0.8)(x, LEVELS)
    scale = np.maximum(np.quantile(np.abs(output).reshape(7, -1), 0.8, axis=1), 1)[:, None, None]
    np.testing.assert_allclose(found.x0, np.clip(output / scale, -1, 1), rtol=1e-5)
    small = param.dynamic(fixed('x0', output / 10, LEVELS))(x, LEVELS)
    np.testing.assert_array_equal(small.x0, np.clip(output / 10, -1, 1))


def test_thresholds_at_the_ends():
    x, output = pair(2, 13)
    found = param.clipped(fixed('v', 3 * output, ENDS))(x, ENDS)
    assert all(np.isfinite(part).all() for part in found[:2])


# Mistakes


def test_eps_needs_some_signal():
    zero = schedules.discrete(schedules.zero_terminal_snr(schedules.linear()))
    linear = schedules.discrete(schedules.linear())
    for where in (zero, spacing.trailing(zero, 4), schedules.flow()):
        with pytest.raises(UserError, match=r'predict v, x0, flow or edm'):
            param.require('eps', where)
        for name in ('v', 'x0', 'flow', 'edm'):
            param.require(name, where)
    for where in (linear, schedules.edm(), spacing.trailing(linear, 4), spacing.leading(zero, 4)):
        param.require('eps', where)
    with pytest.raises(UserError, match='zero SNR'):
        jax.jit(lambda x: param.require('eps', zero) or x)(1.0)


def test_names_are_checked():
    with pytest.raises(UserError, match="did you mean 'eps'"):
        param.parameterization('esp')
    with pytest.raises(UserError, match='but must be one of'):
        param.require('velocity', schedules.edm())
