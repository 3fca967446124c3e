"""The scan over levels: callbacks, randomness, and what it refuses."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules, spacing
from jaxcv.diffusion.parameterization import denoiser, parameterization
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers import SAMPLERS, sampler
from jaxcv.diffusion.sampling import Sampler, prior, sample, stream
from jaxcv.errors import UserError

VP = schedules.discrete(schedules.linear())
LEVELS = spacing.trailing(VP, 6)


def network(x, time, condition):
    return jnp.tanh(x + 0.5 * jnp.roll(x, 1, 1) + jnp.sin(time / 200)[:, None, None, None])


def denoise(x, level):
    return denoiser(parameterization('v'), network)(x, level, None)


def keys(n=16, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def method(name):
    if name == 'heun':
        return sampler('heun', churn=0.2, process=VP)
    return sampler(name, eta=0.7) if name in ('ddim', 'euler') else sampler(name)


def run(method, keys, levels=LEVELS):
    x = prior(levels, (4, 4, 3), stream(keys, 10**6))
    return sample(method, denoise, levels, x, keys)[0]


@pytest.mark.parametrize('name', ['ddim', 'predictor_corrector'])
def test_a_seed_gives_the_same_image_in_every_batch_and_on_every_device(name):
    whole = jax.jit(lambda keys: run(method(name), keys))
    every = np.asarray(whole(keys()))
    for some in (slice(4, 8), slice(5, 6)):
        np.testing.assert_allclose(whole(keys()[some]), every[some], atol=1e-5)
    split = jax.pmap(lambda keys: run(method(name), keys))(keys().reshape(8, 2))
    np.testing.assert_allclose(np.asarray(split).reshape(every.shape), every, atol=1e-5)
    assert np.isfinite(every).all()
    assert np.abs(every[0] - every[1]).max() > 0.01


@pytest.mark.parametrize(
    'name', sorted(set(SAMPLERS) - {'euler', 'euler_ancestral', 'dpmpp_1s', 'dpmpp_2m_sde'})
)
def test_gradients_pass_through_all_steps(name):
    """Also where a method remembers nothing yet, and at a level of zero SNR."""
    alpha_bar = schedules.zero_terminal_snr(schedules.linear())
    levels = spacing.trailing(schedules.discrete(alpha_bar), 3)
    x = prior(levels, (2, 2, 1), keys(1))

    def total(x, scale):
        def scaled(x, level):
            prediction = denoise(x, level)
            return prediction._replace(x0=scale * prediction.x0)

        return sample(method(name), scaled, levels, x, keys(1))[0].sum()

    for grad in jax.jit(jax.grad(total, (0, 1)))(x, 1.0):
        assert np.isfinite(grad).all()
        assert np.abs(grad).max() > 0


def test_callbacks_see_and_change_every_step():
    def change(step, x, keys):
        noise = jax.vmap(jax.random.normal)(keys)[:, None, None, None]
        return jnp.where(step.index == 2, 0.0 * x + noise, x)

    def watch(step):
        return step.index, step.x, step.prediction, step.now, step.after

    x = prior(VP, (4, 4, 3), keys(2))
    last, (index, states, predictions, now, after) = sample(
        sampler('ddim'), denoise, LEVELS, x, keys(2), change=change, watch=watch
    )
    np.testing.assert_array_equal(index, np.arange(6))
    np.testing.assert_array_equal(now.time, LEVELS.time[:-1])
    np.testing.assert_array_equal(after.sigma, LEVELS.sigma[1:])
    np.testing.assert_array_equal(states[0], x)
    assert (np.ptp(states[3], axis=(1, 2, 3)) == 0).all()
    assert states[3][0, 0, 0, 0] != states[3][1, 0, 0, 0]
    # What was watched is what the step was made of.
    for i in (0, 1, 3, 4):
        moved = after.alpha[i] * predictions.x0[i] + after.sigma[i] * predictions.noise[i]
        np.testing.assert_allclose(states[i + 1], moved, atol=1e-5)
    np.testing.assert_allclose(last, predictions.x0[5], atol=1e-5)


def test_steps_and_callbacks_draw_differently():
    """Every step has its own keys, and a callback's are not those of the method."""
    draw = jax.vmap(jax.random.normal)
    drawing = Sampler(lambda x: (), lambda d, x, m, now, after, keys: (draw(keys), m, d(x, now)))
    seen = sample(
        drawing,
        lambda x, level: x,
        LEVELS,
        jnp.zeros(3),
        keys(3),
        change=lambda step, x, keys: x - draw(keys),  # 0 if they were the same keys
        watch=lambda step: step.x,
    )[1]
    assert np.abs(seen[1:]).min() > 1e-5
    assert len(np.unique(seen[1:])) == seen[1:].size


def test_nothing_is_traced_per_step():
    calls = []

    def counted(x, level):
        calls.append(1)
        return denoise(x, level)

    x = prior(VP, (4, 4, 3), keys(1))
    sample(sampler('dpmpp_2m'), counted, spacing.trailing(VP, 50), x, keys(1))
    assert len(calls) == 1


@pytest.mark.parametrize('process', [VP, schedules.edm(), schedules.flow()])
def test_the_prior_has_the_noise_of_the_highest_level(process):
    x = prior(process, (100,), keys(100))
    np.testing.assert_allclose(x.std(), process.level(process.top).sigma, rtol=0.03)
    np.testing.assert_array_equal(prior(process, (100,), keys(100)[3:4])[0], x[3])


def test_mistakes_are_explained():
    x = prior(VP, (4, 4, 3), keys(2))
    with pytest.raises(UserError, match='one key per sample'):
        sample(sampler('ddim'), denoise, LEVELS, x, jax.random.key(0))
    with pytest.raises(UserError, match='n \\+ 1 of them'):
        sample(sampler('ddim'), denoise, Level(*(v[0] for v in LEVELS)), x, keys(2))
    with pytest.raises(UserError, match=r"did you mean 'heun'"):
        sampler('huen')
    with pytest.raises(UserError, match=r"did you mean 'eta'"):
        sampler('ddim', etta=1.0)
    with pytest.raises(UserError, match='order of UniPC is 4'):
        sampler('unipc', order=4)
    with pytest.raises(UserError, match='must be 1, 2, 3 or 4'):
        sampler('lms', order=0)
    with pytest.raises(UserError, match='give heun the process'):
        sampler('heun', churn=0.1)
