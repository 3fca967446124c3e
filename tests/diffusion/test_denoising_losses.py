"""Losses against the formulas of their papers, and what minimizes them."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.diffusion import losses, schedules
from jaxcv.diffusion.likelihood import step_bits
from jaxcv.diffusion.parameterization import parameterization
from jaxcv.diffusion.process import noised, snr, variances
from jaxcv.errors import UserError

NAMES = ['eps', 'x0', 'v', 'flow', 'edm']
COSINE = schedules.discrete(schedules.cosine())
LINEAR = schedules.discrete(schedules.linear())
PROCESSES = {'linear': LINEAR, 'flow': schedules.flow(), 'edm': schedules.edm()}


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def images(n=6, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (n, 4, 4, 2)), jnp.float32)


def lesson(process=LINEAR, n=6, seed=0):
    return losses.lesson(process, images(n, seed), keys(n, seed))


def halved(x, time, condition):
    """A network."""
    return 0.5 * x + 0.1 * jnp.sin(time)[:, None, None, None]


# Lessons


@pytest.mark.parametrize('name', PROCESSES)
def test_lessons_belong_to_their_samples(name):
    process = PROCESSES[name]
    all_of_it = lesson(process)
    np.testing.assert_array_equal(
        all_of_it.x, noised(all_of_it.x0, all_of_it.noise, process.level(all_of_it.t))
    )
    part = losses.lesson(process, images()[2:4], keys(6)[2:4])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[2:4], rtol=1e-6), part, all_of_it)


def test_times_and_noise_are_independent():
    many = losses.lesson(schedules.flow(), jnp.zeros((5000, 1)), keys(5000))
    correlation = np.corrcoef(many.t, many.noise[:, 0])[0, 1]
    assert abs(correlation) < 0.06 and abs(many.noise.std() - 1) < 0.05


# Weights


def test_min_snr_by_the_paper():
    level = LINEAR.level(jnp.arange(0, 1000, 50))
    ratio = np.asarray(snr(level))
    expected = {
        'eps': np.minimum(ratio, 5) / ratio,
        'x0': np.minimum(ratio, 5),
        'v': np.minimum(ratio, 5) / (ratio + 1),  # other libraries have this one wrong
    }
    for name, weight in expected.items():
        found = losses.min_snr(5.0)(level, parameterization(name))
        np.testing.assert_allclose(found, weight, rtol=1e-4)


def test_p2_by_the_paper():
    level = COSINE.level(jnp.arange(0, 999, 50))
    found = losses.p2(0.5, 1.0)(level, parameterization('eps'))
    np.testing.assert_allclose(found, (1 + np.asarray(snr(level))) ** -0.5, rtol=1e-4)


def test_weightings_by_name():
    level = COSINE.level(jnp.arange(5))
    for found, expected in (
        (losses.weighting('even'), losses.even),
        (losses.weighting('min_snr', limit=2.0), losses.min_snr(2.0)),
        (losses.weighting('p2'), losses.p2()),
    ):
        kind = parameterization('v')
        np.testing.assert_array_equal(found(level, kind), expected(level, kind))
    with pytest.raises(UserError, match="did you mean 'min_snr'"):
        losses.weighting('minsnr')
    with pytest.raises(UserError, match="a field of weighting 'p2'"):
        losses.weighting('p2', gamma=1.0)


def test_no_weight_where_nothing_is_left():
    level = schedules.discrete(schedules.zero_terminal_snr(schedules.linear())).level(999)
    for weighting in (losses.min_snr(), losses.p2()):
        assert weighting(level, parameterization('v')) == 0


@pytest.mark.parametrize('weighting', [losses.min_snr(), losses.p2(), losses.edm()])
@pytest.mark.parametrize('name', NAMES)
def test_a_weighting_means_the_same_for_every_output(weighting, name):
    """The same belief about x0 costs the same, however the network says it."""
    told = lesson(LINEAR, seed=3)
    believed = told.x0 + 0.3 * images(seed=4)
    ratio = (told.level.alpha / told.level.sigma)[:, None, None, None]
    noise = told.noise - ratio * (believed - told.x0)
    kind = parameterization(name)

    def network(x, time, condition):
        return kind.target(believed, noise, told.level)

    def believes(x, time, condition):
        return believed

    found = losses.simple(kind, network, told, weighting=weighting)
    expected = losses.simple(parameterization('x0'), believes, told, weighting=weighting)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


# Losses of the papers


def test_ddpm_and_flow_matching():
    for name, process, target in (
        ('eps', LINEAR, lambda t: t.noise),
        ('flow', schedules.flow(), lambda t: t.noise - t.x0),
    ):
        told = lesson(process)
        error = halved(told.x, told.level.time, None) - target(told)
        found = losses.simple(parameterization(name), halved, told)
        np.testing.assert_allclose(found, (error**2).mean((1, 2, 3)), rtol=1e-5)


def test_edm():
    """lambda(sigma) |D(x; sigma) - x0|^2 with table 1's D and lambda, in double precision."""
    told, data = lesson(schedules.edm()), 0.4
    sigma = np.float64(told.t)[:, None, None, None]
    total = sigma**2 + data**2
    x = np.float64(told.x)
    seen = jnp.float32(x / np.sqrt(total))
    output = np.float64(halved(seen, jnp.log(told.t) / 4, None))
    d = data**2 / total * x + sigma * data / np.sqrt(total) * output
    expected = (total / (sigma * data) ** 2 * (d - np.float64(told.x0)) ** 2).mean((1, 2, 3))
    kind = parameterization('edm', sigma_data=data)
    np.testing.assert_allclose(losses.simple(kind, halved, told), expected, rtol=1e-4)
    found = losses.simple(kind, halved, told, weighting=losses.edm(data))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize('name', NAMES)
def test_the_best_linear_network_is_the_conditional_mean(name):
    """Data N(0, .5^2) at one level: the gradient with respect to w of |w x - target|^2 is 0 where
    w x is the output that means E[x0 | x]."""
    level = LINEAR.level(jnp.int32(400))
    alpha, sigma = float(level.alpha), float(level.sigma)
    kind, n = parameterization(name), 100_000
    x0, noise = jax.random.normal(jax.random.key(5), (2, n, 1))
    each = jax.tree.map(lambda x: jnp.full(n, x), level)
    told = losses.Lesson(0.5 * x0, noise, noised(0.5 * x0, noise, each), each, each.time)

    def loss(w):
        return losses.simple(kind, lambda x, time, condition: w * x, told).mean()

    best = -jax.grad(loss)(0.0) / jax.grad(jax.grad(loss))(0.0)  # of a parabola
    scaled = kind.scale_input(jnp.ones((1, 1)), level)
    found = kind.predict(best * scaled, jnp.ones((1, 1)), level)
    exact = alpha * 0.25 / (alpha**2 * 0.25 + sigma**2)
    np.testing.assert_allclose(found.x0[0, 0], exact, rtol=0.02, atol=0.01)


# The hybrid


def doubled(params, x):
    return jnp.concatenate([params['mean'] * x, params['spread'] + 0 * x], -1)


@pytest.mark.parametrize('name', ['eps', 'v'])
def test_the_hybrid_is_its_two_parts(name):
    """Gradients of the mean come from the first, those of the variance from the second."""
    told, kind = lesson(COSINE), parameterization(name)
    told = told._replace(t=told.t.at[0].set(0))  # the decoder's turn
    told = told._replace(level=COSINE.level(told.t))
    told = told._replace(x=noised(told.x0, told.noise, told.level))
    params = {'mean': jnp.float32(0.7), 'spread': jnp.float32(-0.4)}

    def hybrid(params):
        network = lambda x, time, condition: doubled(params, x)  # noqa: E731
        return losses.hybrid(COSINE, kind, network, told)

    def simple(params):
        return losses.simple(kind, lambda x, time, condition: params['mean'] * x, told)

    def bits(params):
        found = kind.predict(params['mean'] * told.x, told.x, told.level)
        spread = jnp.full_like(told.x, (params['spread'] + 1) / 2)
        second, _ = variances(COSINE.level(1), COSINE.level(0))
        after = COSINE.level(told.t - 1)
        args = found._replace(spread=spread), told.level, after, second, 'learned'
        return step_bits(told.x0, told.x, *args)

    np.testing.assert_allclose(hybrid(params), simple(params) + bits(params), rtol=1e-4)
    whole, first, second = (jax.jacobian(f)(params) for f in (hybrid, simple, bits))
    np.testing.assert_allclose(whole['mean'], first['mean'], rtol=1e-4)
    np.testing.assert_allclose(whole['spread'], second['spread'], rtol=1e-4)
    assert (abs(second['mean']) > 1e-6).any()


def test_a_learned_variance_needs_indices():
    kind = parameterization('flow')
    with pytest.raises(UserError, match='discrete process'):
        losses.hybrid(schedules.flow(), kind, halved, lesson(schedules.flow()))
    with pytest.raises(UserError, match='4 channels are expected'):
        losses.hybrid(LINEAR, kind, halved, lesson())
