"""Distributions over actions, against scipy, quadrature, sampling and torch."""

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.rl import distributions
from jaxcv.rl.distributions import Categorical, MultiCategorical, Normal, TanhNormal
from jaxcv.rl.envs.environment import Box, Discrete, MultiDiscrete

KINDS = ['categorical', 'multi', 'normal', 'tanh']


def example(kind, seed=0, batch=(5,), spread=1.0):
    """A distribution of a kind with random parameters."""
    a, b = np.random.default_rng(seed).normal(size=(2, *batch, 3)).astype(np.float32) * spread
    return {
        'categorical': lambda: Categorical(jnp.asarray(a)),
        'multi': lambda: MultiCategorical(jnp.concatenate([a, b], -1), (2, 4)),
        'normal': lambda: Normal(jnp.asarray(a), 0.3 * jnp.asarray(b), -1.5, 2.0),
        'tanh': lambda: TanhNormal(jnp.asarray(a), 0.3 * jnp.asarray(b), -2.0, 1.0),
    }[kind]()


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def many(p, n=200_000, seed=0):
    """n samples of one distribution, and the distribution n times."""
    wide = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), p)
    return wide, wide.sample(wide.noise(keys(n, seed)))


def table(p):
    """Probabilities of all choices of a MultiCategorical of two parts, [k0 k1]."""
    first, second = (scipy.special.softmax(part.logits) for part in p.parts())
    return np.outer(first, second)


def density(p, a):
    """Density of the executed action a of a TanhNormal with one component, by numpy in double."""
    middle, half = (p.high + p.low) / 2, (p.high - p.low) / 2
    u = np.arctanh((a - middle) / half)
    normal = scipy.stats.norm.pdf(u, float(p.mean[0]), np.exp(float(p.log_std[0])))
    return normal / (half * (1 - np.tanh(u) ** 2))


# Closed forms


def test_categorical_against_scipy():
    p = example('categorical')
    probabilities = scipy.special.softmax(np.asarray(p.logits, np.float64), -1)
    for choice in range(3):
        log_prob = p.log_prob(jnp.full(5, choice))
        np.testing.assert_allclose(log_prob, np.log(probabilities[:, choice]), rtol=1e-5)
    np.testing.assert_allclose(p.entropy(), scipy.stats.entropy(probabilities.T), rtol=1e-5)
    q = example('categorical', 1)
    others = scipy.special.softmax(np.asarray(q.logits, np.float64), -1)
    np.testing.assert_allclose(p.kl(q), scipy.stats.entropy(probabilities.T, others.T), rtol=1e-4)
    np.testing.assert_array_equal(p.mode(), probabilities.argmax(-1))


def test_multi_categorical_is_the_joint_distribution():
    p, q = example('multi', 2, ()), example('multi', 3, ())
    joint, other = table(p), table(q)
    pairs = jnp.stack(jnp.meshgrid(jnp.arange(2), jnp.arange(4), indexing='ij'), -1)
    wide = jax.tree.map(lambda x: jnp.broadcast_to(x, (2, 4, *x.shape)), p)
    np.testing.assert_allclose(wide.log_prob(pairs), np.log(joint), rtol=1e-5)
    np.testing.assert_allclose(p.entropy(), scipy.stats.entropy(joint.ravel()), rtol=1e-5)
    np.testing.assert_allclose(
        p.kl(q), scipy.stats.entropy(joint.ravel(), other.ravel()), rtol=1e-5
    )
    np.testing.assert_array_equal(p.mode(), np.unravel_index(joint.argmax(), joint.shape))


def test_normal_against_scipy():
    p = example('normal')
    x = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32) * 2
    theirs = scipy.stats.norm(np.float64(p.mean), np.exp(np.float64(p.log_std)))
    np.testing.assert_allclose(p.log_prob(x), theirs.logpdf(x).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(p.entropy(), theirs.entropy().sum(-1), rtol=1e-5)


def test_normal_divergence_by_quadrature():
    p, q = Normal(jnp.array([0.4]), jnp.array([-0.3])), Normal(jnp.array([-0.2]), jnp.array([0.5]))
    a, b = scipy.stats.norm(0.4, np.exp(-0.3)), scipy.stats.norm(-0.2, np.exp(0.5))
    expected, _ = scipy.integrate.quad(
        lambda x: a.pdf(x) * (a.logpdf(x) - b.logpdf(x)), -10, 10, points=(0,)
    )
    np.testing.assert_allclose(p.kl(q), expected, rtol=1e-5)


@pytest.mark.parametrize('mean,log_std', [(0.0, 0.0), (0.7, -1.0), (-1.5, 0.3)])
def test_squashed_density_and_entropy_by_quadrature(mean, log_std):
    p = TanhNormal(jnp.array([mean]), jnp.array([log_std]), -2.0, 1.0)
    u = mean + np.exp(log_std) * np.linspace(-5.5, 5.5, 4001)
    action = -0.5 + 1.5 * np.tanh(u)
    found = np.exp(np.float64(p.log_prob(jnp.asarray(u, jnp.float32)[:, None])))
    np.testing.assert_allclose(p.executed(jnp.float32(u)), action, atol=1e-6)
    exact = density(p, action)
    middle = abs(u) < 4  # beyond, arctanh loses what tanh rounded
    np.testing.assert_allclose(found[middle], exact[middle], rtol=1e-3)
    np.testing.assert_allclose(np.trapezoid(found, action), 1, atol=1e-4)
    entropy = -np.trapezoid(scipy.special.xlogy(found, found), action)
    np.testing.assert_allclose(p.entropy(), entropy, atol=2e-3)


# Divergence and entropy as what sampling says


@pytest.mark.parametrize('kind', KINDS)
def test_divergence_and_entropy_by_monte_carlo(kind):
    p, q = example(kind, 5, ()), example(kind, 6, ())
    wide, samples = many(p)
    log_p = np.asarray(wide.log_prob(samples))
    log_q = np.asarray(jax.vmap(lambda x: q.log_prob(x))(samples))
    for found, draws in ((p.kl(q), log_p - log_q), (p.entropy(), -log_p)):
        error = draws.std() / np.sqrt(len(draws))
        assert abs(found - draws.mean()) < 4 * error + 1e-3
    np.testing.assert_allclose(p.kl(p), 0, atol=1e-6)
    assert p.kl(q) > 0.1


# Samples


def test_choices_follow_their_probabilities():
    p = example('categorical', 7, ())
    _, samples = many(p, 20_000)
    counts = np.bincount(samples, minlength=3)
    expected = scipy.special.softmax(np.asarray(p.logits, np.float64)) * len(samples)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_several_choices_follow_their_joint_probabilities():
    p = example('multi', 8, ())
    _, samples = many(p, 20_000)
    counts = np.zeros((2, 4))
    np.add.at(counts, tuple(np.asarray(samples).T), 1)
    expected = table(p).astype(np.float64)
    expected = expected / expected.sum() * len(samples)
    assert scipy.stats.chisquare(counts.ravel(), expected.ravel()).pvalue > 1e-3


@pytest.mark.parametrize('kind', ['normal', 'tanh'])
def test_numbers_follow_their_distribution(kind):
    p = example(kind, 9, ())
    _, samples = many(p, 20_000)
    for i in range(3):
        theirs = scipy.stats.norm(float(p.mean[i]), np.exp(float(p.log_std[i])))
        assert scipy.stats.kstest(samples[:, i], theirs.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(np.asarray(samples).T) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize('kind', KINDS)
def test_a_keys_sample_does_not_depend_on_the_batch(kind):
    p = example(kind, batch=(4, 6))
    at = jax.random.split(jax.random.key(1), (4, 6))
    together = p.sample(p.noise(at))
    one = jax.tree.map(lambda x: x[2, 3], p)
    one = one.sample(one.noise(at[2, 3]))
    np.testing.assert_allclose(together[2, 3], one, rtol=1e-6)
    part = jax.tree.map(lambda x: x[1:3], p)
    part = part.sample(part.noise(at[1:3]))
    np.testing.assert_allclose(together[1:3], part, rtol=1e-6)
    assert together.dtype == (jnp.int32 if kind in ('categorical', 'multi') else jnp.float32)


# What is executed


def test_executed_actions_keep_the_bounds():
    extreme = jnp.array([[-1e4, -3.0, 0.0], [1.0, 3.0, 1e4]])
    clipped = example('normal', batch=()).executed(extreme)
    np.testing.assert_array_equal(clipped, np.clip(extreme, -1.5, 2.0))
    squashed = np.asarray(example('tanh', batch=()).executed(extreme))
    assert squashed.min() == -2 and squashed.max() == 1
    assert (np.diff(squashed.ravel()) > 0).all()
    choice = jnp.array([0, 2])
    np.testing.assert_array_equal(example('categorical').executed(choice), choice)


def test_the_squashed_mode_is_the_median():
    p = example('tanh', 10, ())
    wide, samples = many(p)
    below = (wide.executed(samples) < p.executed(p.mode())).mean(0)
    np.testing.assert_allclose(below, 0.5, atol=5e-3)


# Extremes


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('spread', [1e-3, 100.0])
def test_gradients_are_finite(kind, spread):
    p, q = example(kind, 11, spread=spread), example(kind, 12, spread=1.0)
    sample = q.sample(q.noise(keys(5)))

    def numbers(p):
        return (p.log_prob(sample) + p.entropy() + q.kl(p)).sum()

    if kind in ('normal', 'tanh'):  # extreme means; a standard deviation of e^30 is none
        p = p.replace(log_std=jnp.clip(p.log_std, -5, 2))
    value, grads = jax.value_and_grad(numbers)(p)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((value, grads)))


def test_squashed_samples_far_outside_have_a_gradient():
    p = TanhNormal(jnp.zeros(1), jnp.zeros(1))
    far = jnp.array([[-500.0], [50.0], [500.0]])
    log_prob, slope = jax.vmap(jax.value_and_grad(p.log_prob))(far)
    # log N(u) + 2|u| - 2 log 2 far outside, so that the slope is -u + 2 sign(u).
    u = np.asarray(far)[:, 0]
    expected = -0.5 * u**2 - 0.5 * np.log(2 * np.pi) + 2 * abs(u) - 2 * np.log(2)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)
    np.testing.assert_allclose(slope[:, 0], -u + 2 * np.sign(u), rtol=1e-5)


def test_a_certain_choice_has_no_entropy():
    p = Categorical(jnp.array([0.0, 1e4, -1e4]))
    np.testing.assert_allclose(p.entropy(), 0, atol=1e-6)
    assert np.isfinite(jax.grad(lambda x: Categorical(x).entropy())(p.logits)).all()
    assert np.isfinite(p.log_prob(jnp.int32(2)))


@pytest.mark.parametrize('kind', KINDS)
def test_the_score_has_mean_zero(kind):
    """E[grad log p] = 0: what the policy gradient stands on."""
    p = example(kind, 13, ())
    _, samples = many(p, 50_000)
    scores = jax.vmap(jax.grad(lambda p, x: p.log_prob(x)), (None, 0))(p, samples)
    for score in map(np.asarray, jax.tree.leaves(scores)):
        error = score.std(0) / np.sqrt(len(score))
        assert (abs(score.mean(0)) < 4 * error).all()


# Spaces


def test_policies_fit_their_spaces():
    assert distributions.outputs(Discrete(4)) == 4
    assert distributions.outputs(MultiDiscrete((2, 3))) == 5
    assert distributions.outputs(Box((2, 3))) == 6
    assert isinstance(distributions.policy(Discrete(4), jnp.zeros(4)), Categorical)
    multi = distributions.policy(MultiDiscrete((2, 3)), jnp.zeros((7, 5)))
    assert multi.sample(multi.noise(keys(7))).shape == (7, 2)
    box = Box((2,), -1.0, 3.0)
    normal = distributions.policy(box, jnp.zeros((7, 2)), jnp.zeros(2))
    assert isinstance(normal, Normal) and (normal.low, normal.high) == (-1.0, 3.0)
    squashed = distributions.policy(box, jnp.zeros((7, 2)), jnp.zeros(2), squash=True)
    assert isinstance(squashed, TanhNormal) and squashed.log_std.shape == (7, 2)


@pytest.mark.parametrize(
    'kind,space,words',
    [
        ('normal', Discrete(2), 'takes discrete actions'),
        ('tanh_normal', MultiDiscrete((2, 2)), 'takes discrete actions'),
        ('categorical', Box((1,), -1, 1), 'takes continuous actions'),
        ('tanh_normal', Box((1,)), 'no bounds'),
    ],
)
def test_policies_that_do_not_fit_are_refused(kind, space, words):
    with pytest.raises(UserError, match=words):
        distributions.require(kind, space, 'Maze-v0')
    distributions.require('auto', space, 'Maze-v0')


@pytest.mark.oracles
@pytest.mark.parametrize('kind', KINDS)
def test_against_torch(kind):
    torch = pytest.importorskip('torch')
    theirs = torch.distributions

    def build(p):
        tensors = {k: torch.tensor(np.asarray(v)) for k, v in vars(p).items() if np.ndim(v)}
        if kind == 'categorical':
            return theirs.Categorical(logits=tensors['logits'])
        if kind == 'multi':
            parts = torch.split(torch.tensor(np.asarray(p.logits)), p.sizes, -1)
            return [theirs.Categorical(logits=part) for part in parts]
        normal = theirs.Normal(tensors['mean'], tensors['log_std'].exp())
        if kind == 'normal':
            return theirs.Independent(normal, 1)
        half = (p.high - p.low) / 2
        squash = theirs.AffineTransform(p.low + half, half)
        return theirs.Independent(
            theirs.TransformedDistribution(normal, [theirs.TanhTransform(), squash]), 1
        )

    p, q = example(kind, 14), example(kind, 15)
    a, b = build(p), build(q)
    sample = p.sample(p.noise(keys(5)))
    x = torch.tensor(np.asarray(p.executed(sample) if kind == 'tanh' else sample))
    if kind == 'multi':
        expected = {
            'log_prob': sum(part.log_prob(x[..., i]) for i, part in enumerate(a)),
            'entropy': sum(part.entropy() for part in a),
            'kl': sum(theirs.kl_divergence(*parts) for parts in zip(a, b, strict=True)),
        }
    else:
        expected = {'log_prob': a.log_prob(x)}
        if kind != 'tanh':
            expected['entropy'] = a.entropy()
            expected['kl'] = theirs.kl_divergence(a, b)
        else:  # torch has no sum over components of this divergence: one bijection on both sides
            expected['kl'] = theirs.kl_divergence(a.base_dist, b.base_dist).sum(-1)
    found = {'log_prob': p.log_prob(sample), 'entropy': p.entropy(), 'kl': p.kl(q)}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-4, atol=1e-4, err_msg=name)
