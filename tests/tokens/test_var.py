"""VAR: codes of scales, each from the scales before."""

from functools import partial

import chains
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens import var
from jaxcv.tokens.multiscale import Multiscale
from jaxcv.tokens.pick import Pick, draw, uniform
from jaxcv.tokens.told import Told
from jaxcv.tokens.transformer import Transformer
from jaxcv.tokens.var import VAR, Pyramid

CODES, CLASSES, SCALES, LENGTH = 9, 3, (1, 2, 4), 21
LABEL = jnp.array([0, 1, 2, 3])
LABELS = Told(LABEL)
QUANTIZER = Multiscale(codes=CODES, scales=SCALES)
PARAMS, STATE = QUANTIZER.init(jax.random.key(1), 5)
PARAMS = jax.tree.map(lambda x: 5 * x, PARAMS)
PYRAMID = var.pyramid(QUANTIZER, PARAMS, STATE)


def inputs(codes):
    return QUANTIZER.inputs(PARAMS, STATE, codes)


def built(told=LABELS, **fields):
    grids = tuple((side, side) for side in SCALES)
    body = Transformer(LENGTH, 16, 2, 4, num_classes=CLASSES, grids=grids, **fields)
    module = VAR(CODES, SCALES, body)
    variables = jax.jit(module.init)(jax.random.key(0), inputs(codes()), told)
    return module, jax.tree.map(lambda x: 4 * x, variables)


def codes(seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, CODES, (4, LENGTH)))


def test_places_of_scales():
    assert var.bounds((1, 2, 3)) == [(0, 1), (1, 5), (5, 14)]
    np.testing.assert_allclose(PYRAMID.inputs(codes(), SCALES), inputs(codes()), atol=1e-6)
    with pytest.raises(UserError, match='give it length=21'):
        VAR(CODES, SCALES, Transformer(20)).init(jax.random.key(0), inputs(codes()))


def test_a_scale_is_predicted_from_the_scales_before_only():
    """And from all of each; from features of its own scale too, which hold those before."""
    module, variables = built()
    apply = jax.jit(module.apply)
    logits = apply(variables, inputs(codes()), Told(LABEL))
    ends = [stop for _, stop in var.bounds(SCALES)]
    scale = np.searchsorted(ends, np.arange(LENGTH), side='right')
    for place in (0, 1, 4, 5, 20):
        other = codes().at[:, place].add(1) % CODES
        changed = (apply(variables, inputs(other), Told(LABEL)) != logits).any((0, 2))
        np.testing.assert_array_equal(changed, scale > scale[place])
        other = inputs(codes()).at[:, place].add(1.0)
        changed = (apply(variables, other, Told(LABEL)) != logits).any((0, 2))
        np.testing.assert_array_equal(changed, scale >= scale[place])


@pytest.mark.parametrize('guidance,ramped', [(1.0, True), (3.0, True), (3.0, False)])
def test_with_and_without_a_cache(guidance, ramped):
    module, variables = built()
    keys, pick = chains.keys(4, 3), Pick(0.9, 7, 0.95)
    draws = partial(
        var.sample, module, variables, pyramid=PYRAMID, pick=pick, guidance=guidance, ramped=ramped
    )
    found = jax.jit(draws)(Told(LABEL), keys)
    noise, expected = uniform(keys, (LENGTH,)), jnp.zeros((4, LENGTH), int)
    nothing, apply = jnp.full(4, CLASSES), jax.jit(module.apply)
    for scale, (start, stop) in enumerate(var.bounds(SCALES)):
        own, free = (
            apply(variables, inputs(expected), Told(label))[:, start:stop]
            for label in (LABEL, nothing)
        )
        t = (guidance - 1) * (scale / 2 if ramped else 1)
        logits = pick((1 + t) * own - t * free)
        expected = expected.at[:, start:stop].set(draw(logits, noise[:, start:stop]))
    np.testing.assert_array_equal(found.codes, expected)
    np.testing.assert_array_equal(found.when[0], [1] + [2] * 4 + [3] * 16)


def test_logits_with_a_cache():
    told = Told(LABEL, jnp.array([[1, 2, 3], [4, 0, 0], [5, 5, 0], [0, 0, 0]]))
    module, variables = built(told, words=6, text_length=3)
    variables = jax.tree.map(lambda x: x / 4, variables)  # what is steep magnifies rounding
    features = inputs(codes())
    expected = jax.jit(module.apply)(variables, features, told)
    found, cache = module.apply(variables, features[:, :1], told, method='begin')
    parts = [found]
    for scale, (start, stop) in list(enumerate(var.bounds(SCALES)))[1:]:
        part = features[:, start:stop]
        found, cache = module.apply(variables, part, scale, cache, method='extend')
        parts.append(found)
    np.testing.assert_allclose(jnp.concatenate(parts, 1), expected, atol=1e-5)


def test_a_seed_gives_the_same_codes_in_any_batch_and_on_any_device():
    module, variables = built()
    keys, label = chains.keys(8), jnp.arange(8) % 3
    draws = jax.jit(partial(var.sample, module, variables, pyramid=PYRAMID, guidance=2.0))
    together = draws(Told(label), keys).codes
    np.testing.assert_array_equal(together[2:6], draws(Told(label[2:6]), keys[2:6]).codes)
    np.testing.assert_array_equal(together[5:6], draws(Told(label[5:6]), keys[5:6]).codes)
    apart = jax.pmap(draws)(Told(label[:, None]), keys[:, None]).codes
    np.testing.assert_array_equal(apart[:, 0], together)


def squares(x):
    """[b n] row by row -> [b side side]."""
    side = round(x.shape[1] ** 0.5)
    return x.reshape(len(x), side, side)


def doubled(x):
    return jnp.repeat(jnp.repeat(squares(x), 2, 1), 2, 2).reshape(len(x), -1)


def tree(key, label):
    """Every code follows that of the scale before at its place."""
    first, *others = jax.random.split(key, 3)
    scales = [jax.random.randint(first, (len(label), 1), 0, chains.CODES)]
    for other in others:
        scales.append(chains.follow(other, label, doubled(scales[-1])))
    return jnp.concatenate(scales, 1)


# The sum over scales of their codes as one-hot vectors, each scale in channels of its own.
ONE_HOT = Pyramid(
    lambda batch: jnp.zeros((batch, 4, 4, 3 * chains.CODES)),
    lambda total, codes, scale: total + jnp.repeat(jnp.repeat(
        jax.nn.one_hot(squares(codes) + scale * chains.CODES, 3 * chains.CODES),
        4 >> scale, 1), 4 >> scale, 2),
    lambda total, scale: total[:, :: 4 >> scale, :: 4 >> scale].reshape(
        len(total), 4**scale, 3 * chains.CODES),
)  # fmt: skip


def test_a_trained_prior_has_the_entropy_of_the_tree_and_its_statistics():
    body = Transformer(LENGTH, 32, 2, 4, num_classes=chains.CLASSES)
    module, features = VAR(chains.CODES, SCALES, body), lambda x: ONE_HOT.inputs(x, SCALES)
    label = jnp.arange(512) % 2
    empty = features(jnp.zeros((1, LENGTH), int))
    start = jax.jit(module.init)(jax.random.key(0), empty, Told(label[:1]))

    def loss(variables, codes, told, keys):
        return var.loss(partial(module.apply, variables), codes, told, keys, features)

    variables, found = chains.train(loss, tree, start, steps=200)
    assert abs(found - chains.nats(LENGTH)) < 0.03
    draws = jax.jit(partial(var.sample, module, pyramid=ONE_HOT))
    drawn = draws(variables, Told(label), chains.keys(512)).codes
    for own in range(2):
        codes = drawn[label == own]
        for a, b, c in ((0, 1, 5), (1, 5, 21)):
            often = chains.transitions(doubled(codes[:, a:b]), codes[:, b:c])
            np.testing.assert_allclose(often, chains.TRANSITION[own], atol=0.08)
