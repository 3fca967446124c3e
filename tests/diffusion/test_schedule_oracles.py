"""Schedules, spacings and parameterizations against diffusers' schedulers."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules, spacing
from jaxcv.diffusion.parameterization import clipped, dynamic, parameterization
from jaxcv.diffusion.process import at, log_variance, noised, posterior_mean, variances

pytestmark = pytest.mark.oracles

STEPS = (7, 10, 13, 30, 50)
OURS = {
    'linear': schedules.linear(),
    'scaled_linear': schedules.scaled_linear(1000, 1e-4, 0.02),
    'squaredcos_cap_v2': schedules.cosine(),
    'sigmoid': schedules.sigmoid(),
}


def scheduler(name, beta_schedule=None, exact=True, **options):
    """Theirs. `exact`: with alpha_bar in double precision, made of their own betas; they take the
    product in single precision, which puts the least sigma/alpha off by 8e-5 of its value."""
    diffusers, torch = pytest.importorskip('diffusers'), pytest.importorskip('torch')
    kind = getattr(diffusers, f'{name}Scheduler')
    theirs = kind(**({'beta_schedule': beta_schedule} if beta_schedule else {}), **options)
    if exact and hasattr(theirs, 'betas'):
        theirs.alphas_cumprod = torch.cumprod(1 - theirs.betas.double(), 0)
    return theirs


def same_levels(levels, theirs):
    """Times and sigma/alpha of a scheduler that works in sigma/alpha."""
    np.testing.assert_allclose(levels.time[:-1], theirs.timesteps.numpy(), rtol=1e-6, atol=1e-6)
    ratio = np.asarray(levels.sigma / levels.alpha)
    np.testing.assert_allclose(ratio, theirs.sigmas.numpy(), rtol=1e-6)


@pytest.mark.parametrize('name', OURS)
def test_schedules(name):
    theirs = scheduler('DDPM', name, exact=False)
    np.testing.assert_allclose(schedules.betas(OURS[name]), theirs.betas, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(OURS[name], theirs.alphas_cumprod, rtol=0, atol=1e-6)
    levels = schedules.discrete(OURS[name]).level(jnp.arange(1000))
    np.testing.assert_allclose(levels.alpha**2, theirs.alphas_cumprod, rtol=0, atol=1e-6)


@pytest.mark.parametrize('name', ['linear', 'scaled_linear', 'squaredcos_cap_v2'])
def test_zero_terminal_snr(name):
    theirs = scheduler('DDIM', name, exact=False, rescale_betas_zero_snr=True)
    ours = schedules.zero_terminal_snr(OURS[name])
    np.testing.assert_allclose(ours, theirs.alphas_cumprod, rtol=0, atol=1e-6)
    assert ours[-1] == 0


@pytest.mark.parametrize('steps', [100, 4000])
def test_other_lengths(steps):
    """They leave the betas to the caller; ours scale with 1000 / T."""
    theirs = scheduler(
        'DDPM',
        'linear',
        num_train_timesteps=steps,
        beta_start=0.1 / steps,
        beta_end=20 / steps,
        exact=False,
    )
    np.testing.assert_allclose(schedules.linear(steps), theirs.alphas_cumprod, rtol=0, atol=1e-6)
    theirs = scheduler('DDPM', 'squaredcos_cap_v2', num_train_timesteps=steps, exact=False)
    np.testing.assert_allclose(schedules.cosine(steps), theirs.alphas_cumprod, rtol=0, atol=1e-6)


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('kind', ['leading', 'trailing', 'linspace'])
@pytest.mark.parametrize('name', ['DDPM', 'DDIM'])
def test_indices(name, kind, n):
    theirs = scheduler(name, timestep_spacing=kind)
    theirs.set_timesteps(n)
    process = schedules.discrete(schedules.linear())
    levels = getattr(spacing, kind)(process, n)
    np.testing.assert_array_equal(levels.time[:-1], theirs.timesteps)
    kept = theirs.alphas_cumprod[theirs.timesteps]
    np.testing.assert_allclose(levels.alpha[:-1] ** 2, kept, rtol=0, atol=1e-6)
    np.testing.assert_allclose(levels.sigma[:-1] ** 2, 1 - kept, rtol=1e-6)


def test_the_offset_of_leading():
    theirs = scheduler('DDIM', timestep_spacing='leading', steps_offset=1)
    theirs.set_timesteps(10)
    levels = spacing.leading(schedules.discrete(schedules.linear()), 10, offset=1)
    np.testing.assert_array_equal(levels.time[:-1], theirs.timesteps)


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('kind', ['leading', 'trailing', 'linspace'])
@pytest.mark.parametrize('name', ['linear', 'scaled_linear', 'squaredcos_cap_v2'])
def test_euler_grids(name, kind, n):
    theirs = scheduler('EulerDiscrete', name, timestep_spacing=kind, beta_start=1e-4, beta_end=0.02)
    theirs.set_timesteps(n)
    options = {'rounded': False} if kind == 'linspace' else {}
    same_levels(getattr(spacing, kind)(process_of(theirs), n, **options), theirs)


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('kind', ['leading', 'trailing', 'linspace'])
def test_dpm_solver_grids(kind, n):
    theirs = scheduler('DPMSolverMultistep', timestep_spacing=kind)
    theirs.set_timesteps(n)
    options = {} if kind == 'trailing' else {'short': True}
    same_levels(getattr(spacing, kind)(process_of(theirs), n, **options), theirs)


@pytest.mark.parametrize('n', STEPS)
def test_karras_grids(n):
    theirs = scheduler('EulerDiscrete', use_karras_sigmas=True)
    theirs.set_timesteps(n)
    levels = spacing.karras(process_of(theirs), n)
    same_levels(levels, theirs)
    theirs = scheduler('DPMSolverMultistep', use_karras_sigmas=True)
    theirs.set_timesteps(n)  # rounds the times, though the levels are not at whole ones
    same_levels(levels._replace(time=jnp.round(levels.time)), theirs)


@pytest.mark.parametrize('n', STEPS)
def test_edm_grid(n):
    theirs = scheduler('EDMEuler')
    theirs.set_timesteps(n)
    same_levels(spacing.edm(schedules.edm(), n), theirs)


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('shift', [1.0, 3.0])
def test_flow_grid(shift, n):
    theirs = scheduler('FlowMatchEulerDiscrete', shift=shift)
    theirs.set_timesteps(sigmas=list(np.linspace(1, 1 / n, n)))
    levels = spacing.flow(schedules.flow(shift), n)
    np.testing.assert_allclose(levels.sigma, theirs.sigmas, rtol=1e-6)
    np.testing.assert_allclose(levels.time[:-1], theirs.timesteps, rtol=1e-6)


@pytest.mark.parametrize('n', STEPS)
def test_flow_matching_of_diffusers_shifts_its_last_time_twice(n):
    """Left to itself, FlowMatchEulerDiscreteScheduler ends at the shifted 1/1000 and then shifts
    the whole grid again: .0089 for shift 3 instead of .0030. Without a shift it agrees."""
    theirs = scheduler('FlowMatchEulerDiscrete')
    theirs.set_timesteps(n)
    levels = spacing.flow(schedules.flow(), n, low=1e-3)
    np.testing.assert_allclose(levels.sigma, theirs.sigmas, rtol=1e-6)
    theirs = scheduler('FlowMatchEulerDiscrete', shift=3.0)
    theirs.set_timesteps(n)
    once = 3e-3 / (1 + 2e-3)
    levels = spacing.flow(schedules.flow(3.0), n, low=1e-3)
    np.testing.assert_allclose(levels.sigma[-2], once, rtol=1e-5)
    twice = 3 * once / (1 + 2 * once)
    np.testing.assert_allclose(theirs.sigmas[-2], twice, rtol=1e-5)


@pytest.mark.parametrize('n', [61, 103, 206])
def test_trailing_of_diffusers_has_a_step_too_many(n):
    """Their np.arange(1000, 0, -1000 / n) has n + 1 entries for 62 values of n up to 1000, since
    n (1000 / n) rounds below 1000. The last one is index -1, which is no level of the schedule."""
    theirs = scheduler('DDIM', timestep_spacing='trailing')
    theirs.set_timesteps(n)
    assert len(theirs.timesteps) == n + 1 and theirs.timesteps[-1] == -1
    ours = spacing.trailing(schedules.discrete(schedules.linear()), n)
    np.testing.assert_array_equal(ours.time[:-1], theirs.timesteps[:-1])


@pytest.mark.parametrize('n', STEPS)
def test_variances(n):
    kinds = ('fixed_small', 'fixed_large', 'learned_range')
    small, large, learned = (scheduler('DDPM', variance_type=kind) for kind in kinds)
    spread = np.random.default_rng(0).uniform(-1, 1, (1, 4)).astype(np.float32)
    torch = pytest.importorskip('torch')
    levels = spacing.leading(schedules.discrete(schedules.linear()), n)
    for theirs in (small, large, learned):
        theirs.set_timesteps(n)
    for i, t in enumerate(small.timesteps[:-1]):  # their last step: variance clipped to 1e-20
        ours = variances(at(levels, i), at(levels, i + 1))
        expected = float(small._get_variance(t)), float(large._get_variance(t))
        np.testing.assert_allclose(ours, expected, rtol=2e-5)
        fraction = log_variance('learned', *ours, (jnp.asarray(spread) + 1) / 2)
        expected = learned._get_variance(t, predicted_variance=torch.tensor(spread))
        np.testing.assert_allclose(fraction, expected, rtol=1e-5)


@pytest.mark.parametrize('t', [900, 500, 100])
def test_posterior_mean_and_noise(t):
    torch = pytest.importorskip('torch')
    theirs = scheduler('DDPM', prediction_type='sample', clip_sample=False)
    theirs.set_timesteps(10)
    process = schedules.discrete(schedules.linear())
    x0, noise = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    now, after = process.level(jnp.int32(t)), process.level(jnp.int32(t - 100))
    x = noised(x0, noise, now)
    expected = theirs.add_noise(torch.tensor(x0), torch.tensor(noise), torch.tensor([t] * 3))
    np.testing.assert_allclose(x, expected, atol=1e-6)
    mean = posterior_mean(x0, x, now, after)
    small, _ = variances(now, after)
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).numpy()
    step = theirs.step(torch.tensor(x0), t, torch.tensor(np.array(x)), generator=generator)
    np.testing.assert_allclose(mean + np.sqrt(small) * draw, step.prev_sample, atol=2e-6)


@pytest.mark.parametrize('kind,name', [('epsilon', 'eps'), ('sample', 'x0'), ('v_prediction', 'v')])
@pytest.mark.parametrize('t', [950, 500, 0])
def test_what_outputs_mean(kind, name, t):
    torch = pytest.importorskip('torch')
    theirs = scheduler('DDIM', prediction_type=kind, clip_sample=False)
    theirs.set_timesteps(20)
    output, x = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)
    level = schedules.discrete(schedules.linear()).level(jnp.int32(t))
    ours = parameterization(name).predict(output, x, level)
    step = theirs.step(torch.tensor(output), t, torch.tensor(x))
    np.testing.assert_allclose(ours.x0, step.pred_original_sample, rtol=1e-5, atol=1e-5)
    if name == 'v':
        target = parameterization('v').target(x, output, level)
        args = torch.tensor(x), torch.tensor(output), torch.tensor([t] * 3)
        np.testing.assert_allclose(target, theirs.get_velocity(*args), atol=1e-6)


@pytest.mark.parametrize('sigma', [0.002, 0.5, 80.0])
def test_edm_preconditioning(sigma):
    torch = pytest.importorskip('torch')
    theirs = scheduler('EDMEuler')
    output, x = np.random.default_rng(3).normal(size=(2, 3, 4)).astype(np.float32)
    level = schedules.edm().level(jnp.float32(sigma))
    edm, sigma = parameterization('edm'), torch.tensor(sigma)
    expected = theirs.precondition_inputs(torch.tensor(x), sigma)
    np.testing.assert_allclose(edm.scale_input(x, level), expected, rtol=1e-5)
    expected = theirs.precondition_outputs(torch.tensor(x), torch.tensor(output), sigma)
    np.testing.assert_allclose(edm.predict(output, x, level).x0, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(level.time, theirs.precondition_noise(sigma), rtol=1e-5)


def test_thresholds():
    """Their DDIM keeps the noise of the unclipped x0 unless `use_clipped_model_output` is set; ours
    always follows, as that option has it."""
    torch = pytest.importorskip('torch')
    output, x = 2 * np.random.default_rng(4).normal(size=(2, 3, 5, 5, 2)).astype(np.float32)
    process = schedules.discrete(schedules.linear())
    now, after = process.level(jnp.int32(500)), process.level(jnp.int32(400))

    def denoise(x, level):
        return parameterization('eps').predict(output, x, level)

    def image(x):
        return torch.tensor(np.moveaxis(np.asarray(x), -1, 1))

    options = {'thresholding': True, 'sample_max_value': 100.0}
    for wrap, extra in ((clipped, {'clip_sample': True}), (dynamic, options)):
        theirs = scheduler('DDIM', **extra)
        theirs.set_timesteps(10)
        args = image(output), 500, image(x)
        step = theirs.step(*args, use_clipped_model_output=True)
        found = wrap(denoise)(jnp.asarray(x), now)
        np.testing.assert_allclose(image(found.x0), step.pred_original_sample, atol=1e-5)
        moved = jax.tree.map(image, after.alpha * found.x0 + after.sigma * found.noise)
        np.testing.assert_allclose(moved, step.prev_sample, atol=1e-5)
        kept = theirs.step(*args, use_clipped_model_output=False)
        assert abs(kept.prev_sample - step.prev_sample).max() > 0.1


def process_of(theirs):
    return schedules.discrete(theirs.alphas_cumprod.numpy())
