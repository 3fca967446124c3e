"""The judge of samples: what it reads, in which order it puts failures."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.metrics.judge import Seen, frechet_floor, judged, seen

KEY = jax.random.key(0)
COUNT = 200
WEIGHTS = np.random.default_rng(1).normal(size=(16, 6)).astype('f')
NO_LABELS = jnp.zeros(COUNT, int)
run = jax.jit(judged)  # compiled once for all tests


def classifier(variables, images):
    """Logits and features of a fixed network."""
    features = jnp.tanh(images.reshape(len(images), -1) @ variables)
    return features[:, :3], features


def drawn(n=COUNT, seed=0, classes=(0, 1, 2)):
    """Images [n 4 4 1] of three kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(2).uniform(-1, 1, (3, 4, 4, 1))[rng.choice(classes, n)]
    return jnp.asarray(kinds + 0.2 * rng.normal(size=kinds.shape), jnp.float32)


def look(images):
    return Seen(*classifier(WEIGHTS, images))


def score(fake, real, labels=NO_LABELS):
    return run(fake, real, KEY, labels)


@pytest.mark.parametrize('batch_size', [7, 64, 1000])
def test_seen_in_batches(batch_size):
    images = drawn(64)
    logits, features = jax.jit(lambda x: seen(classifier, WEIGHTS, x, batch_size))(images)
    expected = classifier(WEIGHTS, images)
    np.testing.assert_allclose(logits, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features, expected[1], rtol=1e-5, atol=1e-6)


def test_scores_see_failures():
    real, noise = look(drawn()), jax.random.normal(KEY, (COUNT, 4, 4, 1))
    good = score(look(drawn(seed=1)), real)
    noisy = score(look(drawn(seed=1) + 0.5 * noise), real)
    dropped = score(look(drawn(seed=1, classes=(0,))), real)
    nothing = score(look(2 * noise), real)
    assert 3 * good['frechet'] < noisy['frechet'] < dropped['frechet']
    assert abs(good['kernel_distance']) < 4 * good['kernel_distance_error']
    assert nothing['kernel_distance'] > 4 * nothing['kernel_distance_error']
    assert min(good['precision'], good['recall'], good['coverage']) > 0.85
    assert dropped['precision'] > 0.85 and dropped['recall'] < 0.6 and dropped['coverage'] < 0.6
    assert noisy['precision'] < good['precision'] and nothing['precision'] < 0.3


def test_accuracy_is_the_share_recognized():
    real = look(drawn())
    labels = real.logits.argmax(-1)
    wrong = jnp.where(jnp.arange(COUNT) < COUNT // 4, (labels + 1) % 3, labels)
    assert score(real, real, labels)['accuracy'] == 1
    np.testing.assert_allclose(score(real, real, wrong)['accuracy'], 0.75)
    assert 'accuracy' not in jax.eval_shape(judged, real, real, KEY)


def test_the_kernel_distance_has_no_unit():
    real, fake = look(drawn()), look(drawn(seed=1, classes=(0, 1)))
    found = score(*(Seen(x.logits, 50 * x.features) for x in (fake, real)))
    expected = score(fake, real)
    for name in ('kernel_distance', 'precision', 'recall', 'coverage'):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, err_msg=name)


def test_the_floor_is_what_perfect_samples_score():
    """Two independent sets of as many as a half, beside two halves of one set."""
    pairs = [[look(drawn(seed=100 * i + j)) for i in (1, 2)] for j in range(40)]
    scores = [score(*pair)['frechet'] for pair in pairs]
    floor = jax.jit(frechet_floor)
    both = [jnp.concatenate([a.features, b.features]) for a, b in pairs]
    np.testing.assert_allclose(np.mean([floor(x, KEY) for x in both]), np.mean(scores), rtol=0.3)


def test_wrong_counts_are_refused():
    with pytest.raises(UserError, match='40 samples are judged by 60 real images'):
        judged(look(drawn(40)), look(drawn(60)), KEY)
    few = look(drawn(15))
    with pytest.raises(UserError, match='at least 20'):
        judged(few, few, KEY)
