from itertools import pairwise

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import editing, samplers, schedules, spacing
from jaxcv.diffusion.parameterization import Prediction
from jaxcv.diffusion.process import Level, at
from jaxcv.diffusion.sampling import prior, sample
from jaxcv.errors import UserError
from jaxcv.ops.noise import normal

PROCESS = schedules.discrete(schedules.cosine())
LEVELS = spacing.trailing(PROCESS, 20)
COVARIANCE = jnp.array([[1.0, 0.9], [0.9, 1.0]])


def denoise(x, level):
    """E[x0 | x] of two correlated pixels."""
    total = level.alpha**2 * COVARIANCE + level.sigma**2 * jnp.eye(2)
    x0 = level.alpha * jnp.linalg.solve(total, x.T).T @ COVARIANCE
    return Prediction(x0, (x - level.alpha * x0) / jnp.maximum(level.sigma, 1e-6))


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


IMAGES = jnp.array([[0.5, -0.2], [1.0, 0.9], [-1.0, 0.3]])


def test_strength_zero_returns_the_image():
    sampler = samplers.sampler('ddpm')
    edited = editing.sdedit(sampler, denoise, LEVELS, IMAGES, keys(3), 0.0)
    np.testing.assert_array_equal(edited, IMAGES)


def test_strength_says_how_much_is_kept():
    image = jnp.tile(jnp.array([[2.0, 2.0]]), (500, 1))
    sampler = samplers.sampler('ddpm')
    means = [
        editing.sdedit(sampler, denoise, LEVELS, image, keys(500), strength).mean()
        for strength in (0.1, 0.4, 0.7, 1.0)
    ]
    assert means[0] > 1.8 and abs(means[-1]) < 0.15
    assert all(a > b for a, b in pairwise(means))


@pytest.mark.parametrize('strength', [-0.1, 1.2])
def test_strength_beyond_its_range_is_an_error(strength):
    with pytest.raises(UserError, match='between 0 and 1'):
        editing.sdedit(samplers.sampler('ddim'), denoise, LEVELS, IMAGES, keys(3), strength)


@pytest.mark.parametrize('name', ['ddim', 'ddpm'])
def test_known_pixels_are_kept_exactly(name):
    mask = jnp.array([True, False])
    x = prior(LEVELS, (2,), keys(3, 1))
    change = editing.keep(IMAGES, mask)
    x, _ = sample(samplers.sampler(name), denoise, LEVELS, x, keys(3), change=change)
    np.testing.assert_array_equal(x[:, 0], IMAGES[:, 0])
    assert (x[:, 1] != IMAGES[:, 1]).all()


def test_the_path_of_repaint():
    levels = Level(jnp.ones(6), jnp.zeros(6), jnp.arange(6.0))
    path = editing.repaint(levels, 2, 3).time
    first, second, last = [1, 2, 0, 1, 2, 0, 1, 2], [3, 4, 2, 3, 4, 2, 3, 4], [5, 4, 5, 4, 5]
    np.testing.assert_array_equal(path, [0, *first, *second, *last])
    np.testing.assert_array_equal(editing.repaint(levels, 2, 1).time, levels.time)


def test_climbing_is_the_forward_process():
    now, after = (at(LEVELS, i) for i in (15, 4))
    x = now.alpha * 0.7 + now.sigma * normal(keys(50_000), (1,))
    x = editing.climb(x, now, after, keys(50_000, 1))
    np.testing.assert_allclose(x.mean(), after.alpha * 0.7, atol=0.02)
    np.testing.assert_allclose(x.std(), after.sigma, rtol=0.02)


@pytest.mark.parametrize('name', ['ddim', 'ddpm'])
def test_a_path_that_never_climbs_is_the_samplers_own(name):
    plain, x = samplers.sampler(name), prior(LEVELS, (2,), keys(3, 1))
    there, _ = sample(plain, denoise, LEVELS, x, keys(3))
    here, _ = sample(editing.climbing(plain), denoise, LEVELS, x, keys(3))
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_repaint_harmonizes_what_replacement_does_not():
    """Pixel 0 is known to be 1; pixel 1 is then N(.9, .19)."""
    n = 4000
    image, mask = jnp.tile(jnp.array([[1.0, 0.0]]), (n, 1)), jnp.array([True, False])
    sampler = editing.climbing(samplers.sampler('ddpm'))

    @jax.jit
    def painted(path):
        x, change = prior(path, (2,), keys(n, 1)), editing.keep(image, mask)
        return sample(sampler, denoise, path, x, keys(n), change=change)[0][:, 1]

    once, often = painted(LEVELS), painted(editing.repaint(LEVELS, 4, 8))
    # What is left is due to 20 steps.
    assert abs(often.mean() - 0.9) < 0.1 and abs(often.var() - 0.19) < 0.05
    assert abs(once.mean() - 0.9) > 0.25


def test_the_arc_between_two_noises():
    a, b = (normal(keys(4, seed), (8, 8, 3)) for seed in (1, 2))
    np.testing.assert_allclose(editing.slerp(a, b, 0.0), a, atol=1e-5)
    np.testing.assert_allclose(editing.slerp(a, b, 1.0), b, atol=1e-5)
    norms = jnp.linalg.norm(editing.slerp(a, b, 0.5).reshape(4, -1), axis=1) / 192**0.5
    assert (abs(norms - 1) < 0.1).all()  # the straight middle has .7
    np.testing.assert_allclose(editing.slerp(a, a, 0.3), a, rtol=1e-5)
