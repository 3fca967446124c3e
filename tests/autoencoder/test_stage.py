"""Stages: units of the latents, round trips, fingerprints."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.autoencoder import KLAutoencoder, sample
from jaxcv.autoencoder import stage as stages
from jaxcv.autoencoder.stage import from_kl, plain, standardized
from jaxcv.errors import UserError

KL = KLAutoencoder(2, (4, 8), 0, middle_attention=False, groups=2, shift=0.5, scale=3.0)


def filled(module):
    """Random variables, without compiling the initializers."""
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.3, x.dtype), like)


def images(n, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (n, 8, 8, 3)), jnp.float32)


def keys(n):
    return jax.random.split(jax.random.key(1), n)


def compiled(stage):
    """Eagerly a module takes ten times longer."""
    parts = {name: jax.jit(getattr(stage, name)) for name in ('posterior', 'sample', 'decode')}
    return replace(stage, **parts)


STAGES = {
    'kl': compiled(from_kl(KL, filled(KL))),
    'plain': plain,
}
FIELDS = {'kl': {'mean', 'log_variance'}, 'plain': {'latents'}}


def apply(module, method):
    return jax.jit(lambda *arguments: module.apply(filled(module), *arguments, method=method))


def test_a_stage_is_what_the_modules_say():
    x = images(3)
    raw = sample(apply(KL, 'encode')(x), keys(3))
    z = (raw - 0.5) * 3
    np.testing.assert_allclose(STAGES['kl'].encode(x, keys(3)), z, atol=1e-5)
    wanted = apply(KL, 'decode')(raw).clip(-1, 1)
    np.testing.assert_allclose(STAGES['kl'].decode(z), wanted, atol=1e-5)
    np.testing.assert_array_equal(plain.decode(plain.encode(x, keys(3))), x)


@pytest.mark.parametrize('name', STAGES)
def test_latents_have_mean_0_and_variance_1_on_what_they_were_measured_on(name, monkeypatch):
    monkeypatch.setattr(stages, 'BATCH', 20)
    raw, x = STAGES[name], images(60)
    stage = standardized(raw, x)
    z, before = stage.encode(x, keys(60)), raw.encode(x, keys(60))
    # Noise of the posterior is drawn with other keys than where it was measured.
    tolerance = 0.05 if name == 'kl' else 1e-4
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=tolerance)
    assert abs(float(before.std()) - 1) > 0.1
    np.testing.assert_allclose(stage.decode(z), raw.decode(before), atol=1e-5)


@pytest.mark.parametrize('name', STAGES)
def test_what_is_stored_in_half_precision_is_as_good(name):
    stage, x = standardized(STAGES[name], images(3)), images(3, seed=1)
    posterior = stage.posterior(x)
    assert set(posterior) == FIELDS[name]
    stored = {name: np.asarray(value, np.float16) for name, value in posterior.items()}
    z = stage.sample(stored | {'label': np.zeros(3)}, keys(3))
    assert z.dtype == jnp.float32
    wanted = stage.encode(x, keys(3))
    assert np.abs(z - wanted).max() < 4 * 2**-11 * np.abs(wanted).max()


def test_a_sample_depends_on_its_own_key():
    stage, x = STAGES['kl'], images(3)
    posterior, other = stage.posterior(x), keys(3).at[0].set(jax.random.key(7))
    a, b = stage.sample(posterior, keys(3)), stage.sample(posterior, other)
    assert (a[0] != b[0]).all()
    np.testing.assert_array_equal(a[1:], b[1:])


def test_every_parameter_is_in_the_fingerprint():
    variables = filled(KL)
    first = from_kl(KL, variables).fingerprint
    assert first == standardized(from_kl(KL, variables), images(3)).fingerprint
    leaves, structure = jax.tree.flatten(variables)
    prints = {first}
    for i, leaf in enumerate(leaves):
        changed = leaf.ravel().at[-1].set(np.nextafter(leaf.ravel()[-1], np.inf))
        others = [*leaves[:i], changed.reshape(leaf.shape), *leaves[i + 1 :]]
        prints.add(from_kl(KL, jax.tree.unflatten(structure, others)).fingerprint)
    assert len(prints) == len(leaves) + 1


def test_latents_that_do_not_vary_are_refused():
    with pytest.raises(UserError, match='the same latents'):
        standardized(plain, jnp.ones((3, 8, 8, 3)))


def test_images_stay_in_range():
    stage = STAGES['kl']
    x = stage.decode(100 * stage.encode(images(3), keys(3)))
    assert np.abs(x).max() == 1
