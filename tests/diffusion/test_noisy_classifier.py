"""The classifier of noisy pictures: invariants, gradients, learning measured by Bayes' rule."""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

from experiments import noisy_classifier
from jaxcv.diffusion import guidance, schedules, spacing
from jaxcv.diffusion.networks.classifier import NoisyClassifier, classified, log_prob, require
from jaxcv.diffusion.parameterization import Prediction
from jaxcv.diffusion.process import Level
from jaxcv.diffusion.samplers import sampler
from jaxcv.diffusion.sampling import prior, sample
from jaxcv.errors import UserError
from jaxcv.train import config as configs
from jaxcv.train import update

FIELDS = {'widths': (4, 8), 'blocks': 1, 'attended': 1, 'head_width': 4, 'groups': 2}
X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 4, 1)), jnp.float32)
TIME = jnp.array([1.0, 300.0, 900.0])
FLOW = schedules.flow()


def filled(module, x):
    """Random parameters: a fresh network is uniform."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x, TIME[: len(x)])
    generator = np.random.default_rng(1)
    return jax.tree.map(
        lambda s: jnp.asarray(generator.normal(size=s.shape) * 0.3, jnp.float32), shapes
    )


def compiled(function):
    """Quick to compile rather than quick to run."""
    return jax.jit(function, compiler_options={'xla_backend_optimization_level': 0})


@pytest.fixture(scope='module')
def network():
    module = NoisyClassifier(5, **FIELDS)
    variables = filled(module, X)
    return jax.jit(lambda x, time: module.apply(variables, x, time))


def test_a_fresh_network_knows_nothing():
    module = NoisyClassifier(5, **FIELDS)
    variables = compiled(module.init)(jax.random.key(0), X, TIME)
    np.testing.assert_array_equal(compiled(module.apply)(variables, X, TIME), np.zeros((3, 5)))


def test_samples_do_not_meet_and_time_matters(network):
    logits = network(X, TIME)
    assert logits.shape == (3, 5) and abs(logits).max() > 0.01
    np.testing.assert_allclose(network(X[::-1], TIME[::-1])[::-1], logits, atol=1e-5)
    other = network(X.at[1:].set(0.0), TIME.at[1:].set(10.0))
    np.testing.assert_allclose(other[0], logits[0], atol=1e-5)
    assert abs(network(X, TIME[::-1]) - logits)[0].max() > 1e-3


def test_log_probs_are_normalized_and_depend_on_directions_only(network):
    level = Level(jnp.float32(0.6), jnp.float32(0.8), jnp.float32(300.0))
    logs = jnp.stack([log_prob(network, X, level, jnp.full(3, label)) for label in range(5)])
    np.testing.assert_allclose(jnp.exp(logs).sum(0), 1, rtol=1e-5)
    same = Level(jnp.float32(3.0), jnp.float32(4.0), jnp.float32(300.0))
    np.testing.assert_allclose(
        classified(network, 5 * X, same), classified(network, X, level), atol=1e-4
    )


def test_gradients_are_finite_differences(network):
    """Along the gradient of each picture. Norms are in single precision, so steps are long."""
    level, labels = FLOW.level(jnp.array([0.2, 0.5, 0.8])), jnp.array([1, 4, 0])
    value = compiled(lambda x: log_prob(network, x, level, labels))
    gradient = compiled(jax.grad(lambda x: log_prob(network, x, level, labels).sum()))(X)
    length = jnp.sqrt(jnp.square(gradient).sum((1, 2, 3), keepdims=True))
    ahead, behind = (value(X + step * gradient / length) for step in (0.02, -0.02))
    np.testing.assert_allclose(length[:, 0, 0, 0], (ahead - behind) / 0.04, rtol=0.01)


# Two classes of pictures 4x4, each Gaussian, whose posterior is known at every level

SPREAD = 0.3
PICTURES = jnp.asarray(np.random.default_rng(3).uniform(-0.5, 0.5, (2, 4, 4, 1)), jnp.float32)


def log_posterior(x, level):
    """log p(class | x), [b 2]."""
    alpha, sigma = (v.reshape(-1, 1) for v in level[:2])
    square = jnp.square(x[:, None] - alpha[..., None, None, None] * PICTURES).sum((2, 3, 4))
    return jax.nn.log_softmax(-0.5 * square / ((alpha * SPREAD) ** 2 + sigma**2))


def test_it_learns_bayes_rule_at_all_levels():
    """By the divergence from the known posterior, beside that of one who knows nothing. A network
    without time is worse than that at high noise."""
    module = NoisyClassifier(2, **{**FIELDS, 'widths': (16,), 'head_width': 16})

    def applied(params):
        return lambda x, time: module.apply({'params': params}, x, time)

    loss = noisy_classifier.lessons(FLOW, applied, lambda images, keys: images)
    training = update(loss, optax.adam(optax.cosine_decay_schedule(1e-2, 200)))
    variables = compiled(module.init)(jax.random.key(0), PICTURES, TIME[:2])

    def drawn(key, n):
        labels = jnp.arange(n) % 2
        x0 = PICTURES[labels] + SPREAD * jax.random.normal(key, (n, 4, 4, 1))
        return {'image': x0, 'label': labels}

    def body(state, key):
        return training.step(state, drawn(key, 64), key)

    keys = jax.random.split(jax.random.key(1), 200)
    state, _ = compiled(lambda state: jax.lax.scan(body, state, keys))(
        training.init(variables['params'])
    )

    @compiled
    def divergence(share):
        level = FLOW.level(share)
        images = drawn(jax.random.key(2), 2048)['image']
        x = level.alpha * images + level.sigma * jax.random.normal(jax.random.key(3), images.shape)
        known = log_posterior(x, level)
        found = jax.nn.log_softmax(classified(applied(state.params), x, level))
        return [(jnp.exp(known) * (known - q)).sum(1).mean() for q in (found, -jnp.log(2.0))]

    for share, part in ((0.2, 0.1), (0.5, 0.25), (0.8, 1.0)):
        found, nothing = divergence(share)
        assert found < part * nothing


# End to end


def test_guided_samples_are_those_of_the_class():
    """Scale 1 turns the sampler of a mixture into that of one of its Gaussians."""
    means = jnp.array([[-0.6, 0.1], [0.5, 0.3]])
    spreads = jnp.array([[0.3, 0.15], [0.2, 0.4]])

    def parts(x, level):
        variance = (level.alpha * spreads) ** 2 + level.sigma**2
        away = x[:, None] - level.alpha * means
        logs = -0.5 * (away**2 / variance + jnp.log(variance)).sum(-1)
        return logs, means + level.alpha * spreads**2 / variance * away

    def mixture(x, level):
        logs, each = parts(x, level)
        x0 = (jax.nn.softmax(logs)[..., None] * each).sum(1)
        return Prediction(x0, (x - level.alpha * x0) / level.sigma)

    keys = jax.random.split(jax.random.key(0), 4096)
    levels = spacing.edm(schedules.edm(), 30)
    x = prior(levels, (2,), keys)
    for label in (0, 1):
        guided = guidance.classifier(
            mixture, lambda x, level, k=label: jax.nn.log_softmax(parts(x, level)[0])[:, k], 1.0
        )
        found = np.asarray(sample(sampler('heun'), guided, levels, x, keys)[0])
        np.testing.assert_allclose(found.mean(0), means[label], atol=0.02)
        np.testing.assert_allclose(np.cov(found.T), np.diag(spreads[label] ** 2), atol=0.01)


# The experiment

CHANGES = {
    'model': {'widths': (4,), 'blocks': 1, 'attended': 1, 'head_width': 4, 'groups': 2},
    'train.steps': 4,
    'train.batch_size': 16,
}


def build(**changes):
    return noisy_classifier.build(
        configs.load('configs/diffusion/digits_classifier.py', {**CHANGES, **changes})
    )


def test_what_is_exported_guides_and_refuses_other_processes():
    made = build()
    state = compiled(made.init)(jax.random.key(0))
    guide = made.export(state)
    assert guide.shape == (8, 8, 1)
    x = jnp.ones((2, 8, 8, 1))
    logs = compiled(guide.log_prob)(x, FLOW.level(0.3), jnp.array([1, 9]))
    np.testing.assert_allclose(logs, -np.log(10), rtol=1e-6)
    drawn = {'name': 'flow', 'draw': {'name': 'uniform'}}
    require(guide, drawn, (8, 8, 1))
    with pytest.raises(UserError, match=r"'cosine'}: give both runs the same config.process"):
        require(guide, {'name': 'cosine'}, (8, 8, 1))
    with pytest.raises(UserError, match=r'pictures of \(8, 8, 1\), but is to guide \(32, 32, 3\)'):
        require(guide, drawn, (32, 32, 3))


@pytest.mark.parametrize('name', ['flow', 'edm', 'cosine'])
def test_fixed_levels_have_their_share_of_noise(name):
    process = schedules.process(name)
    for share in (0.05, 0.1, 0.5, 0.95):
        level = noisy_classifier.level_at(process, share)
        assert level.alpha.shape == ()
        assert abs(level.sigma / (level.alpha + level.sigma) - share) < 0.01


def test_accuracy_at_levels_and_pictures():
    made = build(**{'process': {'name': 'edm'}})
    state = compiled(made.init)(jax.random.key(0))
    found = made.evaluate(state, jax.random.key(1))
    assert {'accuracy', 'nll', 'noise_0.1/accuracy', 'noise_0.7/nll'} < set(found)
    np.testing.assert_allclose([v for k, v in found.items() if 'nll' in k], np.log(10), rtol=1e-5)
    media = made.show(state, jax.random.key(1))
    assert set(media) == {'accuracy', 'mistakes'}
    for picture in media.values():
        assert np.isfinite(picture.pixels).all() and min(picture.pixels.shape[:2]) > 60


def test_mistakes_are_sentences():
    with pytest.raises(UserError, match=r'a field of config.model'):
        build(**{'model': {'width': 8}})
