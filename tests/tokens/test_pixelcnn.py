"""PixelCNN: what a place sees, and that its sampler draws what it says."""

from functools import partial

import chains
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens import pixelcnn
from jaxcv.tokens.pick import Pick, draw, uniform
from jaxcv.tokens.pixelcnn import PixelCNN
from jaxcv.tokens.told import Told

CODES, CLASSES, GRID, LENGTH = 7, 3, (5, 6), 30
LABEL = jnp.array([0, 1, 2, 3])


def built(**fields):
    module = PixelCNN(CODES, GRID, 8, num_classes=CLASSES, **{'depth': 3, **fields})
    variables = jax.jit(module.init)(jax.random.key(0), codes(), Told(LABEL))
    return module, jax.tree.map(lambda x: 3 * x, variables)


def codes(seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, CODES, (4, LENGTH)))


@pytest.mark.parametrize('first', [3, 7])
def test_every_earlier_code_is_seen_and_no_other(first):
    """With enough layers there is no blind spot: all that is above or to the left. Every place
    has a code of its own, so that the gradient of its row is that of the place."""
    module = PixelCNN(LENGTH, GRID, 16, 6, first_kernel=first)
    places = jnp.arange(LENGTH)[None]
    params = jax.jit(module.init)(jax.random.key(0), places)['params']

    def logits(table):
        changed = {**params, 'embed': {'embedding': table}}
        return module.apply({'params': changed}, places)[0].sum(-1)

    slopes = jax.jit(jax.jacobian(logits))(10 * params['embed']['embedding'])
    reached = np.asarray(abs(slopes).sum(-1) > 0)
    np.testing.assert_array_equal(reached, np.tri(LENGTH, k=-1, dtype=bool))


def test_a_code_is_predicted_from_those_before_it_only():
    module, variables = built()
    apply = jax.jit(module.apply)
    logits = apply(variables, codes(), Told(LABEL))
    for place in range(LENGTH):
        other = codes().at[:, place].add(1) % CODES
        changed = (apply(variables, other, Told(LABEL)) != logits).any((0, 2))
        assert not changed[: place + 1].any()
        assert changed[place + 1] if place + 1 < LENGTH else True
    assert (apply(variables, codes(), Told(LABEL * 0)) != logits)[1:].any(-1).all()


@pytest.mark.parametrize('count,guidance', [(0, 1.0), (8, 2.0)])
def test_draws_are_those_of_the_whole_network(count, guidance):
    module, variables = built()
    keys, pick, given = chains.keys(4, 2), Pick(0.9, 6), codes()[:, :count]
    draws = partial(pixelcnn.sample, module, variables, pick=pick, guidance=guidance, given=given)
    found = jax.jit(draws)(Told(LABEL), keys)
    noise, apply = uniform(keys, GRID).reshape(4, -1), jax.jit(module.apply)
    expected = jnp.zeros((4, LENGTH), int).at[:, :count].set(given)
    for place in range(count, LENGTH):
        own, free = (
            apply(variables, expected, Told(label))[:, place]
            for label in (LABEL, jnp.full(4, CLASSES))
        )
        logits = pick(free + guidance * (own - free))
        expected = expected.at[:, place].set(draw(logits, noise[:, place]))
    np.testing.assert_array_equal(found.codes, expected)
    np.testing.assert_array_equal(found.when[0], [0] * count + list(range(1, LENGTH - count + 1)))
    apart = jax.pmap(draws)(Told(LABEL[:, None]), keys[:, None], given=given[:, None])
    np.testing.assert_array_equal(apart.codes[:, 0], found.codes)


def test_it_is_told_labels_only():
    module, variables = built()
    for told in (None, Told(), Told(LABEL, jnp.zeros((4, 2), int))):
        with pytest.raises(UserError, match='is told labels'):
            module.apply(variables, codes(), told)


def test_a_trained_prior_has_the_entropy_of_the_chain_and_its_statistics():
    module = PixelCNN(chains.CODES, (1, 16), 16, 2, num_classes=chains.CLASSES)
    label = jnp.arange(512) % 2
    start = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 16), int), Told(label[:1]))

    def loss(variables, codes, told, keys):
        return pixelcnn.loss(partial(module.apply, variables), codes, told)

    variables, found = chains.train(loss, chains.chain, start, steps=200, rate=1e-2)
    assert abs(found - chains.nats()) < 0.03
    drawn = jax.jit(partial(pixelcnn.sample, module))(variables, Told(label), chains.keys(512))
    for own in range(2):
        codes = np.asarray(drawn.codes)[np.asarray(label) == own]
        often = chains.transitions(codes[:, :-1], codes[:, 1:])
        np.testing.assert_allclose(often, chains.TRANSITION[own], atol=0.08)
