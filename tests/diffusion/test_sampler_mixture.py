"""Every stochastic sampler on a mixture of Gaussians in the plane, whose denoiser is known."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import schedules, spacing
from jaxcv.diffusion.parameterization import Prediction
from jaxcv.diffusion.samplers import sampler
from jaxcv.diffusion.samplers.langevin import langevin
from jaxcv.diffusion.sampling import prior, sample, stream

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[-1.0, 0.0], [0.8, 0.9], [0.7, -0.9]])
ROOTS = np.array([[[0.2, 0.0], [0.1, 0.1]], [[0.1, 0.0], [0.0, 0.1]], [[0.1, 0.0], [-0.1, 0.2]]])
COVARIANCES = ROOTS @ ROOTS.swapaxes(1, 2)
MIXED = np.einsum('k,kij->ij', WEIGHTS, COVARIANCES + MEANS[:, :, None] * MEANS[:, None])
MEAN = WEIGHTS @ MEANS
COVARIANCE = MIXED - np.outer(MEAN, MEAN)
COUNT = 8192

VP = schedules.discrete(schedules.linear())
EDM, FLOW = schedules.edm(), schedules.flow()


def ideal(x, level):
    """E[x0 | x] by Bayes' rule."""
    spread = level.alpha**2 * COVARIANCES + level.sigma**2 * jnp.eye(2)
    away = x[:, None] - level.alpha * MEANS
    inverse = jnp.linalg.inv(spread)
    pulled = jnp.einsum('kij,bkj->bki', inverse, away)
    logits = jnp.log(WEIGHTS) - 0.5 * jnp.linalg.slogdet(spread)[1]
    shares = jax.nn.softmax(logits - 0.5 * (pulled * away).sum(-1))
    x0 = MEANS + level.alpha * jnp.einsum('kij,bkj->bki', COVARIANCES, pulled)
    x0 = (shares[..., None] * x0).sum(1)
    return Prediction(x0, (x - level.alpha * x0) / level.sigma, jnp.full_like(x, 0.5))


def errors(method, levels, denoise=ideal):
    """Largest errors of the mean, of the covariance, of the weights, and of the covariances within
    modes relative to them."""
    keys = jax.random.split(jax.random.key(3), COUNT)
    first = prior(levels, (2,), stream(keys, 10**6))
    x = np.asarray(jax.jit(lambda x: sample(method, denoise, levels, x, keys)[0])(first))
    away = x[:, None] - MEANS
    distance = np.einsum('bki,kij,bkj->bk', away, np.linalg.inv(COVARIANCES), away)
    mode = distance.argmin(1)
    shares = np.bincount(mode, minlength=3) / len(x)
    within = [np.cov(x[mode == k].T, bias=True) / np.trace(COVARIANCES[k]) for k in range(3)]
    expected = [COVARIANCES[k] / np.trace(COVARIANCES[k]) for k in range(3)]
    return {
        'mean': abs(x.mean(0) - MEAN).max(),
        'covariance': abs(np.cov(x.T) - COVARIANCE).max(),
        'weights': abs(shares - WEIGHTS).max(),
        'within': max(abs(a - b).max() for a, b in zip(within, expected, strict=True)),
    }


def grid(name, n):
    if name == 'edm':
        return spacing.edm(EDM, n, low=0.01)
    return spacing.karras(VP, n) if name == 'vp' else spacing.flow(FLOW, n)


@pytest.mark.parametrize(
    'name,fields,process,n',
    [
        ('ddpm', {}, 'vp', 100),
        ('ddpm', {'variance': 'large'}, 'edm', 100),
        ('ddpm', {'variance': 'learned'}, 'edm', 100),
        ('ddim', {'eta': 0.5}, 'flow', 100),
        ('euler_ancestral', {}, 'edm', 100),
        ('dpmpp_2m_sde', {}, 'edm', 50),
        ('heun', {'churn': 0.3, 'process': EDM}, 'edm', 40),
        ('heun', {'churn': 0.3, 'process': FLOW}, 'flow', 40),
        ('annealed_langevin', {'steps': 20, 'snr': 0.25}, 'edm', 100),
        ('predictor_corrector', {'steps': 2}, 'flow', 100),
    ],
)
def test_stochastic_samplers_reach_the_distribution(name, fields, process, n):
    found = errors(sampler(name, **fields), grid(process, n))
    assert found['mean'] < 0.03
    assert found['covariance'] < 0.03
    assert found['weights'] < 0.02
    assert found['within'] < 0.1


def test_langevin_keeps_and_finds_the_distribution_of_a_level():
    """At one level, from the right distribution and from a wrong one."""
    level = EDM.level(jnp.float32(1.0))
    keys = jax.random.split(jax.random.key(4), COUNT)
    expected = COVARIANCE + np.eye(2)
    rng = np.random.default_rng(0)
    mode = rng.choice(3, COUNT, p=WEIGHTS)
    right = MEANS[mode] + np.einsum('bij,bj->bi', ROOTS[mode], rng.normal(size=(COUNT, 2)))
    right = right + rng.normal(size=(COUNT, 2))
    wrong = 2 * rng.normal(size=(COUNT, 2)) + 1
    run = jax.jit(lambda x: langevin(ideal, x, level, keys, 200, 0.2))
    for start in (right, wrong):
        x = np.asarray(run(jnp.float32(start)))
        np.testing.assert_allclose(x.mean(0), MEAN, atol=0.06)
        np.testing.assert_allclose(np.cov(x.T), expected, atol=0.12)
