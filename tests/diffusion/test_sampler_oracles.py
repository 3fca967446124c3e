"""Whole trajectories against diffusers' schedulers, on the same fixed nonlinear network.

Levels are read from the scheduler, so that this tests methods; spacings have their own tests."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import parameterization, schedules, spacing
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers import sampler
from jaxcv.diffusion.sampling import sample, stream
from jaxcv.ops.noise import normal

pytestmark = pytest.mark.oracles
STEPS = [7, 10, 13, 30, 50]
SHAPE = (3, 4, 4, 2)
ALPHA_BAR = schedules.linear()
VP = schedules.discrete(ALPHA_BAR)


@jax.jit
def network(x, time):
    """Bounded noise that follows from an image, which depends on x and the time nonlinearly. x: at
    a variance-preserving level."""
    index = jnp.arange(1000.0)
    alpha = jnp.interp(time, index, jnp.sqrt(ALPHA_BAR))
    sigma = jnp.interp(time, index, jnp.sqrt(1 - ALPHA_BAR))
    x0 = jnp.tanh(1.5 * x + jnp.sin(time / 200) + 0.3 * jnp.roll(x, 1, 1))
    return 4 * jnp.tanh((x - alpha * x0) / (4 * sigma))


@jax.jit
def velocity(x, time):
    """A bounded velocity for flows."""
    return jnp.tanh(x + 0.5 * jnp.roll(x, 1, 1) + jnp.sin(time / 200)) - 0.3 * x


def keys():
    return jax.random.split(jax.random.key(5), SHAPE[0])


def begin(scale=1.0):
    return scale * normal(jax.random.split(jax.random.key(6), SHAPE[0]), SHAPE[1:])


def ours(method, levels, x, kind='eps', net=network, exploding=False, learned=False):
    """States before every step, and the last: [n+1, b, ...]."""
    meaning = parameterization.parameterization(kind)
    if exploding:  # x0 + sigma noise, shown to a network that knows the variance-preserving one
        meaning = meaning._replace(scale_input=lambda x, level: x / jnp.sqrt(1 + level.sigma**2))

    def call(x, time, condition):
        return net(x, time[0])

    full = parameterization.denoiser(meaning, call, learned)
    run = jax.jit(
        lambda x: sample(
            method, lambda x, level: full(x, level, None), levels, x, keys(), watch=lambda s: s.x
        )
    )
    last, states = run(x)
    return np.concatenate([states, last[None]])


def theirs(scheduler, x, net=network, draws=None):
    """The same of a scheduler, one state more for each of its calls; torch has channels first."""
    torch = pytest.importorskip('torch')

    def outward(x):
        return torch.tensor(np.moveaxis(np.asarray(x), -1, 1))

    def inward(x):
        return np.moveaxis(x.numpy(), 1, -1)

    state, states = outward(x), [np.asarray(x)]
    for i, t in enumerate(scheduler.timesteps):
        seen = state
        if hasattr(scheduler, 'scale_model_input'):
            seen = scheduler.scale_model_input(state, t)
        output = outward(net(jnp.asarray(inward(seen)), jnp.float32(float(t))))
        noise = {}
        if draws is not None:
            noise = draws(i, outward)
        state = scheduler.step(output, t, state, **noise).prev_sample
        states.append(inward(state))
    return np.stack(states)


@jax.jit
def drawn(i):
    return normal(stream(keys(), 2 * i), SHAPE[1:])


def draw(i, outward):
    """The noise that `sample` gives a method in step i."""
    return outward(drawn(i))


def agree(a, b, tolerance=1e-4):
    scale = np.abs(b).max(axis=tuple(range(1, b.ndim)), keepdims=True)
    assert a.shape == b.shape
    assert (np.abs(a - b) / np.maximum(scale, 1)).max() < tolerance


def times(scheduler):
    """The network's times at the scheduler's steps, and one at the end that nobody asks for."""
    t = scheduler.timesteps.numpy().astype(np.float32)
    return jnp.asarray(np.append(t, t[-1]))


def exploding_levels(scheduler):
    sigma = jnp.asarray(scheduler.sigmas.numpy())
    return Level(jnp.ones_like(sigma), sigma, times(scheduler))


def preserving_levels(scheduler):
    sigma = scheduler.sigmas.numpy().astype(np.float64)
    alpha = 1 / np.sqrt(1 + sigma**2)
    return Level(jnp.float32(alpha), jnp.float32(sigma * alpha), times(scheduler))


def make(name, n, **options):
    schedulers = pytest.importorskip('diffusers').schedulers
    scheduler = getattr(schedulers, name)(**options)
    scheduler.set_timesteps(n)
    return scheduler


# Discrete processes


@pytest.mark.parametrize('n', STEPS)
def test_ddim(n):
    scheduler = make('DDIMScheduler', n, clip_sample=False, timestep_spacing='leading')
    x = begin()
    agree(ours(sampler('ddim'), spacing.leading(VP, n), x), theirs(scheduler, x))


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('grid', ['linspace', 'trailing'])
def test_diffusers_ddim_leaves_its_own_timesteps(grid, n):
    """diffusers' DDIMScheduler steps to t - T//n, which is not the next of its timesteps for
    linspace, and for trailing only where n divides T. Given the next one, it agrees with us."""
    x, levels = begin(), getattr(spacing, grid)(VP, n)
    found = ours(sampler('ddim'), levels, x)
    wrong = make('DDIMScheduler', n, clip_sample=False, timestep_spacing=grid)
    gap = np.abs(found - theirs(wrong, x)).max()
    assert gap > 1e-3 or (grid == 'trailing' and 1000 % n == 0)

    right = make('DDIMScheduler', n, clip_sample=False, timestep_spacing=grid)
    plain, order = right.step, [int(t) for t in right.timesteps] + [-1]

    def step(output, t, state):
        after = order[order.index(int(t)) + 1]
        right.num_inference_steps = 1  # it goes to t - (T // this)
        right.register_to_config(num_train_timesteps=int(t) - after)
        return plain(output, t, state)

    right.step = step
    agree(found, theirs(right, x))


@pytest.mark.parametrize('n', [7, 30])
@pytest.mark.parametrize('eta', [0.5, 1.0])
def test_ddim_with_noise(eta, n):
    scheduler = make('DDIMScheduler', n, clip_sample=False, timestep_spacing='leading')
    x = begin()

    def draws(i, outward):
        return {'eta': eta, 'variance_noise': draw(i, outward)}

    found = ours(sampler('ddim', eta=eta), spacing.leading(VP, n), x)
    agree(found, theirs(scheduler, x, draws=draws))


@pytest.mark.parametrize('n', [7, 30])
@pytest.mark.parametrize('grid', ['leading', 'linspace', 'trailing'])
@pytest.mark.parametrize('variance', ['small', 'large', 'learned'])
def test_ddpm(variance, grid, n, monkeypatch):
    """diffusers' DDPMScheduler adds noise to the final image, unless its last timestep is 0: with
    trailing timesteps and a variance that is not the posterior's, the images stay noisy."""
    pytest.importorskip('diffusers')
    from diffusers.schedulers import scheduling_ddpm

    kinds = {'small': 'fixed_small', 'large': 'fixed_large', 'learned': 'learned_range'}
    scheduler = make(
        'DDPMScheduler',
        n,
        clip_sample=False,
        timestep_spacing=grid,
        variance_type=kinds[variance],
    )
    now = {}

    def draws(i, outward):
        now['noise'] = draw(i, outward)
        return {}

    monkeypatch.setattr(scheduling_ddpm, 'randn_tensor', lambda *args, **kwargs: now['noise'])
    net = network
    if variance == 'learned':

        def net(x, time):
            return jnp.concatenate([network(x, time), jnp.tanh(x)], -1)

    x, levels = begin(), getattr(spacing, grid)(VP, n)
    method, learned = sampler('ddpm', variance=variance), variance == 'learned'
    found = ours(method, levels, x, net=net, learned=learned)
    expected = theirs(scheduler, x, net, draws)
    agree(found[:n], expected[:n])
    if grid == 'trailing' and variance != 'small':
        assert np.abs(found[n] - expected[n]).max() > 1e-2
    else:
        agree(found, expected)


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('kind', ['dpmsolver++', 'sde-dpmsolver++'])
@pytest.mark.parametrize('order', [1, 2])
def test_dpm_solver_multistep(order, kind, n):
    scheduler = make('DPMSolverMultistepScheduler', n, solver_order=order, algorithm_type=kind)
    x, random = begin(), kind.startswith('sde')
    methods = {
        (1, False): sampler('dpmpp_1s'),
        (2, False): sampler('dpmpp_2m'),
        (1, True): sampler('ddim', eta=1.0),
        (2, True): sampler('dpmpp_2m_sde'),
    }

    def draws(i, outward):
        return {'variance_noise': draw(i, outward)} if random else {}

    found = ours(methods[order, random], preserving_levels(scheduler), x)
    agree(found, theirs(scheduler, x, draws=draws))


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('order', [1, 2])
def test_dpm_solver_singlestep(order, n):
    scheduler = make('DPMSolverSinglestepScheduler', n, solver_order=order, lower_order_final=True)
    x, method = begin(), sampler('dpmpp_1s' if order == 1 else 'dpmpp_2s')
    agree(ours(method, preserving_levels(scheduler), x), theirs(scheduler, x))


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('variant', ['bh1', 'bh2'])
@pytest.mark.parametrize('order', [1, 2, 3])
def test_unipc(order, variant, n):
    """diffusers' UniPC lowers the order in the last order - 1 steps, ours in the last alone; and
    its bh1 gives NaN in a step to a clean level, where it multiplies an infinite B(h) by 0."""
    scheduler = make('UniPCMultistepScheduler', n, solver_order=order, solver_type=variant)
    x = begin()
    method = sampler('unipc', order=order, variant=variant)
    found, expected = ours(method, preserving_levels(scheduler), x), theirs(scheduler, x)
    same = n - 1 if order == 3 else n if variant == 'bh1' else n + 1
    agree(found[:same], expected[:same])
    assert np.isfinite(found).all()
    assert np.isfinite(expected[n]).all() == (variant == 'bh2')


@pytest.mark.parametrize('n', STEPS)
def test_pndm(n):
    scheduler = make('PNDMScheduler', n, skip_prk_steps=True, set_alpha_to_one=True)
    x = begin()
    expected = theirs(scheduler, x)
    # Its first two calls are one step: Heun's.
    expected = np.delete(expected, 1, 0)
    agree(ours(sampler('pndm'), spacing.leading(VP, n), x), expected)


# Levels x0 + sigma noise


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('karras', [False, True])
def test_euler(karras, n):
    scheduler = make('EulerDiscreteScheduler', n, use_karras_sigmas=karras)
    x = begin(float(scheduler.sigmas[0]))
    found = ours(sampler('euler'), exploding_levels(scheduler), x, exploding=True)
    agree(found, theirs(scheduler, x))


@pytest.mark.parametrize('n', STEPS)
def test_euler_ancestral(n, monkeypatch):
    pytest.importorskip('diffusers')
    from diffusers.schedulers import scheduling_euler_ancestral_discrete as module

    scheduler, now = make('EulerAncestralDiscreteScheduler', n), {}

    def draws(i, outward):
        now['noise'] = draw(i, outward)
        return {}

    monkeypatch.setattr(module, 'randn_tensor', lambda *args, **kwargs: now['noise'])
    x = begin(float(scheduler.sigmas[0]))
    method = sampler('euler_ancestral')
    expected = theirs(scheduler, x, draws=draws)
    agree(ours(method, exploding_levels(scheduler), x, exploding=True), expected)
    # In the variance-preserving state it is the same method.
    levels = preserving_levels(scheduler)
    found = ours(method, levels, x * levels.alpha[0])
    agree(found / np.asarray(levels.alpha)[:, None, None, None, None], expected)


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('karras', [False, True])
def test_heun(karras, n):
    scheduler = make('HeunDiscreteScheduler', n, use_karras_sigmas=karras)
    x = begin(float(scheduler.sigmas[0]))
    first = np.r_[0, np.arange(1, 2 * n - 1, 2), 2 * n - 1]  # it lists the second evaluations too
    sigma = jnp.asarray(scheduler.sigmas.numpy()[first])
    levels = Level(jnp.ones(n + 1), sigma, times(scheduler)[first])
    states = theirs(scheduler, x)
    expected = np.concatenate([states[:-1:2], states[-1:]])
    agree(ours(sampler('heun'), levels, x, exploding=True), expected)


@pytest.mark.parametrize('n', STEPS)
def test_lms(n):
    scheduler = make('LMSDiscreteScheduler', n)
    x = begin(float(scheduler.sigmas[0]))
    found = ours(sampler('lms'), exploding_levels(scheduler), x, exploding=True)
    agree(found, theirs(scheduler, x))


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize(
    'name,method', [('EDMEulerScheduler', 'euler'), ('EDMDPMSolverMultistepScheduler', 'dpmpp_2m')]
)
def test_edm(name, method, n):
    scheduler = make(name, n)
    net = jax.jit(lambda x, time: jnp.tanh(x + 0.3 * jnp.roll(x, 1, 1) + jnp.sin(3 * time)))
    levels = spacing.edm(schedules.edm(), n)
    x = begin(80.0)
    found = ours(sampler(method), levels, x, 'edm', net)
    agree(found, theirs(scheduler, x, net))


# Flows


@pytest.mark.parametrize('n', STEPS)
@pytest.mark.parametrize('shift', [1.0, 3.0])
def test_flow_euler(shift, n):
    scheduler = make('FlowMatchEulerDiscreteScheduler', n, shift=shift)
    sigma = jnp.asarray(scheduler.sigmas.numpy())
    levels, x = Level(1 - sigma, sigma, times(scheduler)), begin()
    agree(ours(sampler('euler'), levels, x, 'flow', velocity), theirs(scheduler, x, velocity))


@pytest.mark.parametrize('n', STEPS)
def test_flow_heun(n):
    scheduler = make('FlowMatchHeunDiscreteScheduler', n, shift=3.0)
    x = begin()
    first = np.r_[0, np.arange(1, 2 * n - 1, 2), 2 * n - 1]
    sigma = jnp.asarray(scheduler.sigmas.numpy()[first])
    levels = Level(1 - sigma, sigma, times(scheduler)[first])
    states = theirs(scheduler, x, velocity)
    expected = np.concatenate([states[:-1:2], states[-1:]])
    agree(ours(sampler('heun'), levels, x, 'flow', velocity), expected)
