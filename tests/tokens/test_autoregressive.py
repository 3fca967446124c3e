"""The causal transformer: what it sees, its cache, its entropy."""

from functools import partial

import chains
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens import autoregressive
from jaxcv.tokens.autoregressive import Autoregressive
from jaxcv.tokens.pick import Pick, draw, uniform
from jaxcv.tokens.told import Told
from jaxcv.tokens.transformer import Transformer

CODES, LENGTH, CLASSES, WORDS = 11, 12, 3, 7
TEXT = jnp.array([[2, 1, 0, 0], [3, 4, 5, 6], [1, 0, 0, 0], [0, 0, 0, 0]])
TOLD = Told(jnp.array([0, 1, 2, 3]), TEXT)


def built(text=True, seed=0, **fields):
    """A network whose logits are far from equal."""
    if text:
        fields = {'words': WORDS, 'text_length': 4, **fields}
    body = Transformer(LENGTH, 16, 2, 4, num_classes=CLASSES, grids=((3, 4),), **fields)
    module, told = Autoregressive(CODES, body), TOLD if text else Told(TOLD.label)
    variables = jax.jit(module.init)(jax.random.key(seed), jnp.zeros((4, LENGTH), int), told)
    return module, jax.tree.map(lambda x: 4 * x, variables), told


def codes(n=4, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, CODES, (n, LENGTH)))


def test_a_code_is_predicted_from_those_before_it_only():
    module, variables, told = built()
    apply = jax.jit(module.apply)
    logits = apply(variables, codes(), told).codes
    for place in range(LENGTH):
        other = codes().at[:, place].add(1) % CODES
        changed = (apply(variables, other, told).codes != logits).any((0, 2))
        np.testing.assert_array_equal(changed, np.arange(LENGTH) > place)


def test_gradients_come_from_before_and_from_all_of_it():
    """From every earlier row of x, none from later ones, by the levels of the transformer."""
    body = Transformer(6, 16, 2, 4)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 6, 16)), jnp.float32)
    variables = jax.jit(body.init)(jax.random.key(0), x)
    for levels in (np.arange(7), np.array([0, 1, 2, 2, 3, 3, 3]), np.zeros(7, int)):
        slopes = jax.jit(jax.jacobian(lambda x, v=levels: body.apply(variables, x, None, v)[0]))(x)
        reached = np.asarray(abs(slopes[:, :, 0]).sum((1, 3)) > 0)
        expected = levels[:, None] >= levels[None, 1:]
        np.testing.assert_array_equal(reached, expected)


def test_text_is_predicted_from_words_before_and_label():
    module, variables, told = built()
    apply = jax.jit(module.apply)
    found = apply(variables, codes(), told).text
    for place in range(4):
        other = told._replace(text=TEXT.at[1, place].set(1 + TEXT[1, place] % 6))
        changed = (apply(variables, codes(), other).text[1] != found[1]).any(-1)
        np.testing.assert_array_equal(changed, np.arange(4) > place)
    other = told._replace(label=(TOLD.label + 1) % 3)
    assert (apply(variables, codes(), other).text != found).any((1, 2)).all()
    np.testing.assert_array_equal(apply(variables, 0 * codes(), told).text, found)


def test_padding_is_not_seen():
    module, variables, told = built()
    logits = module.apply(variables, codes(), told).codes
    table = variables['params']['transformer']['told']['text']
    table['embedding'] = table['embedding'].at[0].add(1.0)
    after = module.apply(variables, codes(), told).codes
    np.testing.assert_allclose(after, logits, atol=1e-5)


def test_the_loss_is_the_mean_of_nats_and_of_those_of_the_text():
    module, variables, told = built()
    apply = partial(module.apply, variables)
    found = apply(codes(), told)
    own = jax.nn.log_softmax(found.codes)
    expected = -np.take_along_axis(np.asarray(own), np.asarray(codes())[..., None], -1).mean((1, 2))
    np.testing.assert_allclose(autoregressive.loss(apply, codes(), told), expected, rtol=1e-5)
    words = np.asarray(jax.nn.log_softmax(found.text))
    for i, count in enumerate([2, 4, 1]):
        text = -words[i, np.arange(count), TEXT[i, :count]].mean()
        total = autoregressive.loss(apply, codes(), told, text_weight=0.5)[i]
        np.testing.assert_allclose(total, expected[i] + 0.5 * text, rtol=1e-5)
    module, variables, told = built(text=False)
    with pytest.raises(UserError, match='told texts'):
        autoregressive.loss(partial(module.apply, variables), codes(), told, text_weight=1.0)


def test_half_precision_is_near():
    plain, variables, told = built()
    variables = jax.tree.map(lambda x: x / 4, variables)
    half, _, _ = built(dtype=jnp.bfloat16)
    found, expected = (jax.jit(m.apply)(variables, codes(), told).codes for m in (half, plain))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), expected, atol=0.02)


@pytest.mark.usefixtures('optimized')
@pytest.mark.parametrize('fields', [{'remat': True}, {'dropout': 0.5}])
def test_options_change_what_they_should(fields):
    plain, variables, told = built()
    module, _, _ = built(**fields)
    keys = chains.keys(4)

    def gradient(module, keys=None):
        def total(variables):
            loss = autoregressive.loss(partial(module.apply, variables), codes(), told, keys)
            return loss.sum()

        return jax.jit(jax.grad(total))(variables)

    near = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(near, gradient(module), gradient(plain))
    if 'dropout' in fields:
        first = autoregressive.loss(partial(module.apply, variables), codes(), told, keys)
        alone = autoregressive.loss(
            partial(module.apply, variables), codes()[2:], Told(*(x[2:] for x in told)), keys[2:]
        )
        np.testing.assert_allclose(first[2:], alone, rtol=1e-5)
        second = autoregressive.loss(partial(module.apply, variables), codes(), told)
        assert (first != second).all()


# Sampling


def uncached(module, variables, told, keys, pick, guidance, given):
    """The definition: the whole network again for every code."""
    apply = jax.jit(module.apply)
    noise, found = uniform(keys, (LENGTH,)), jnp.zeros((len(keys), LENGTH), int)
    found = found.at[:, : given.shape[1]].set(given)
    nothing = Told(jnp.full_like(told.label, CLASSES), jnp.zeros_like(TEXT))
    both = [t if told.text is not None else t._replace(text=None) for t in (told, nothing)]
    for place in range(given.shape[1], LENGTH):
        own, free = (apply(variables, found, t).codes[:, place] for t in both)
        logits = pick(free + guidance * (own - free))
        found = found.at[:, place].set(draw(logits, noise[:, place]))
    return found


@pytest.mark.parametrize(
    'text,count,guidance', [(False, 0, 1.0), (True, 0, 2.5), (True, 7, 1.0), (False, 11, 2.5)]
)
def test_with_and_without_a_cache(text, count, guidance):
    module, variables, told = built(text)
    keys, pick, given = chains.keys(4, 3), Pick(0.9, 8, 0.95), codes()[:, :count]

    @jax.jit
    def cached(variables, told, keys):
        return autoregressive.sample(
            module, variables, told, keys, pick=pick, guidance=guidance, given=given
        )

    found = cached(variables, told, keys)
    expected = uncached(module, variables, told, keys, pick, guidance, given)
    np.testing.assert_array_equal(found.codes, expected)
    np.testing.assert_array_equal(found.when[0], [0] * count + list(range(1, LENGTH - count + 1)))


def test_logits_with_a_cache_token_by_token_and_in_blocks():
    module, variables, told = built()
    expected = module.apply(variables, codes(), told).codes
    begin, extend = (
        jax.jit(partial(module.apply, variables, method=m)) for m in ('begin', 'extend')
    )
    first, cache = begin(codes()[:, :3], told)
    np.testing.assert_allclose(first, expected[:, 3], rtol=1e-5, atol=1e-5)
    plain = partial(module.apply, variables, method='extend')  # where `at` is an integer
    for call in (extend, plain):
        block, after = call(codes()[:, 3:8], 3, cache)
        np.testing.assert_allclose(block, expected[:, 4:9], rtol=1e-5, atol=1e-5)
        one, _ = call(codes()[:, 8:9], 8, after)
        np.testing.assert_allclose(one[:, 0], expected[:, 9], rtol=1e-5, atol=1e-5)


def test_a_seed_gives_the_same_codes_in_any_batch_and_on_any_device():
    module, variables, _ = built(text=False)
    keys, told = chains.keys(8), Told(jnp.arange(8) % 3)
    draw = jax.jit(partial(autoregressive.sample, module, variables, guidance=2.0))
    together = draw(told, keys).codes
    four = draw(Told(told.label[2:6]), keys[2:6]).codes
    np.testing.assert_array_equal(together[2:6], four)
    np.testing.assert_array_equal(together[5:6], draw(Told(told.label[5:6]), keys[5:6]).codes)
    apart = jax.pmap(draw)(Told(told.label[:, None]), keys[:, None]).codes
    np.testing.assert_array_equal(apart[:, 0], together)
    assert (np.asarray(together)[:, None] != together).any(-1).sum() == 56


def test_too_much_given():
    module, variables, told = built()
    with pytest.raises(UserError, match='12 codes are given of 12'):
        autoregressive.sample(module, variables, told, chains.keys(4), given=codes())


def test_a_trained_prior_has_the_entropy_of_the_chain_and_its_statistics():
    body = Transformer(chains.LENGTH, 32, 2, 4, num_classes=chains.CLASSES)
    module = Autoregressive(chains.CODES, body)
    label = jnp.arange(512) % 2
    start = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 16), int), Told(label[:1]))

    def loss(variables, codes, told, keys):
        return autoregressive.loss(partial(module.apply, variables), codes, told)

    variables, found = chains.train(loss, chains.chain, start, steps=300)
    assert abs(found - chains.nats()) < 0.03
    drawn = jax.jit(partial(autoregressive.sample, module))(
        variables, Told(label), chains.keys(512)
    )
    for own in range(2):
        codes = np.asarray(drawn.codes)[np.asarray(label) == own]
        often = chains.transitions(codes[:, :-1], codes[:, 1:])
        np.testing.assert_allclose(often, chains.TRANSITION[own], atol=0.06)
        np.testing.assert_allclose(np.bincount(codes[:, 0]) / 256, 0.25, atol=0.1)
