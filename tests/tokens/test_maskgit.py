"""MaskGIT: training with masks, and decoding in few steps."""

from functools import partial

import chains
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens import halton, maskgit
from jaxcv.tokens.maskgit import MaskGIT
from jaxcv.tokens.pick import Pick
from jaxcv.tokens.told import Told
from jaxcv.tokens.transformer import Transformer

CODES, LENGTH, CLASSES = 11, 16, 3
LABEL = jnp.array([0, 1, 2, 0])


def built(**fields):
    body = Transformer(LENGTH, 16, 2, 4, num_classes=CLASSES, grids=((4, 4),), **fields)
    module = MaskGIT(CODES, body)
    empty = jnp.zeros((4, LENGTH), int)
    variables = jax.jit(module.init)(jax.random.key(0), empty, empty > 0, Told(LABEL))
    return module, jax.tree.map(lambda x: 4 * x, variables)


def codes(seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, CODES, (4, LENGTH)))


class Fixed:
    """In the place of a module: logits that do not depend on the codes, and what it was shown."""

    codes, transformer = CODES, Transformer(LENGTH, num_classes=CLASSES)

    def __init__(self, logits, watch=lambda known: None):
        self.logits, self.watch = logits, watch

    def apply(self, variables, codes, known, told):
        jax.debug.callback(lambda k: self.watch(np.asarray(k)), known, ordered=True)
        return jnp.broadcast_to(self.logits, (*codes.shape, CODES))


# Training


def test_what_is_not_known_does_not_matter_and_the_rest_does():
    module, variables = built()
    known = jnp.asarray(np.random.default_rng(1).random((4, LENGTH)) < 0.5)
    found = module.apply(variables, codes(), known, Told(LABEL))
    other = jnp.where(known, codes(), codes(1))
    np.testing.assert_array_equal(module.apply(variables, other, known, Told(LABEL)), found)
    place = int(np.flatnonzero(known[0])[0])
    other = codes().at[0, place].add(1) % CODES
    changed = module.apply(variables, other, known, Told(LABEL)) != found
    assert changed[0].any(-1).all() and not changed[1:].any()


@pytest.mark.parametrize('name,mean', [('linear', 0.5), ('cosine', 2 / np.pi), ('cubic', 0.75)])
def test_how_many_are_hidden(name, mean):
    places = np.asarray(maskgit.hidden(chains.keys(4000), LENGTH, name))
    counts = places.sum(1)
    assert counts.min() == 1 and counts.max() == LENGTH
    # ceil adds half a code.
    assert abs(counts.mean() - (LENGTH * mean + 0.5)) < 0.35
    np.testing.assert_allclose(places.mean(0), counts.mean() / LENGTH, atol=0.03)
    part = maskgit.hidden(chains.keys(4000)[5:7], LENGTH, name)
    np.testing.assert_array_equal(part, places[5:7])


def test_the_loss_counts_hidden_codes_only():
    logits = jnp.asarray(np.random.default_rng(2).normal(size=(4, LENGTH, CODES)), jnp.float32)
    seen = []

    def apply(codes, known, told, keys):
        seen.append((np.asarray(known), keys))
        return logits

    found = maskgit.loss(apply, codes(), None, chains.keys(4))
    own = -np.take_along_axis(
        np.asarray(jax.nn.log_softmax(logits)), np.asarray(codes())[..., None], -1
    )[..., 0]
    known, keys = seen[0]
    assert keys is not None
    expected = np.where(known, 0, own).sum(1) / (~known).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    smooth = maskgit.loss(apply, codes(), None, chains.keys(4), smoothing=0.1, train=False)
    every = -np.asarray(jax.nn.log_softmax(logits)).mean(-1)
    expected = np.where(known, 0, 0.9 * own + 0.1 * every).sum(1) / (~known).sum(1)
    np.testing.assert_allclose(smooth, expected, rtol=1e-5)
    assert seen[1][1] is None
    gradient = jax.grad(lambda x: maskgit.loss(
        lambda *_: x, codes(), None, chains.keys(4)).sum())(logits)  # fmt: skip
    np.testing.assert_array_equal(abs(gradient).sum(-1) > 0, ~known)


# Decoding


def test_the_masks_of_16_tokens_in_8_steps():
    seen = []
    module = Fixed(jnp.zeros(CODES), lambda known: seen.append((~known).sum(1)))
    found = jax.jit(lambda keys: maskgit.sample(module, {}, Told(LABEL), keys))(chains.keys(4))
    jax.block_until_ready(found)
    np.testing.assert_array_equal(np.stack(seen)[:, 0], [16, 15, 14, 13, 11, 8, 6, 3])
    assert (np.stack(seen) == np.stack(seen)[:, :1]).all()
    decided = [np.bincount(row, minlength=9) for row in np.asarray(found.when)]
    # The last step decides the three that are left, the one that stays masked included.
    np.testing.assert_array_equal(decided, [[0, 1, 1, 1, 2, 3, 2, 3, 3]] * 4)


@pytest.mark.parametrize('count', [0, 1, 5, 15, 16])
@pytest.mark.parametrize('order', [None, halton.order(4, 4)])
def test_known_codes_never_change_and_no_mask_is_left(count, order):
    module, variables = built()
    known = jnp.asarray(np.random.default_rng(3).permuted(
        np.tile(np.arange(LENGTH) < count, (4, 1)), axis=1))  # fmt: skip
    draw = partial(maskgit.sample, module, variables, steps=6, guidance=2.0, order=order)
    found = jax.jit(draw)(Told(LABEL), chains.keys(4), given=codes(), known=known)
    np.testing.assert_array_equal(found.codes[known], codes()[known])
    assert found.codes.min() >= 0 and found.codes.max() < CODES
    np.testing.assert_array_equal(found.when == 0, known)
    assert found.when.max() <= 6
    steps = [np.unique(row[row > 0]) for row in np.asarray(found.when)]
    for row in steps:  # every step decides something while there is something
        np.testing.assert_array_equal(row, np.arange(1, min(6, LENGTH - count) + 1))


def test_the_order_is_kept():
    module, variables = built()
    order = halton.order(4, 4)
    found = maskgit.sample(
        module, variables, Told(LABEL), chains.keys(4), steps=16, schedule='linear', order=order
    )
    np.testing.assert_array_equal(found.when, np.tile(order + 1, (4, 1)))


def test_the_surest_are_decided_first_without_noise():
    scale = jnp.linspace(1, 30, LENGTH)[:, None]  # later places are surer
    logits = scale * jax.nn.one_hot(3, CODES)
    found = maskgit.sample(
        Fixed(logits), {}, Told(LABEL), chains.keys(4), steps=16, schedule='linear', noise=0.0,
        pick=Pick(0),
    )  # fmt: skip
    np.testing.assert_array_equal(found.codes, 3)
    # Of those as sure as float32 can be, the order is any.
    sure = np.asarray(jax.nn.log_softmax(logits)[:, 3])
    for row in np.asarray(found.when):
        assert (np.diff(sure[np.argsort(row)]) <= 0).all()


def test_noise_on_the_confidence_is_gumbels_and_fades():
    """Of two codes with confidences that differ by log 3 and noise of scale 1 / 2 (tau = 1 at
    r = 1 / 2), the surer is kept with probability sigmoid(2 log 3) = 0.9."""
    logits = jnp.log(jnp.array([[0.3] + [0.07] * 10, [0.9] + [0.01] * 10]))
    module = Fixed(logits)
    module.transformer = Transformer(2)
    found = maskgit.sample(
        module, {}, None, chains.keys(4000), steps=2, schedule='linear', noise=1.0, pick=Pick(0)
    )
    first = np.asarray(found.when).argmin(1)
    np.testing.assert_allclose(first.mean(), 0.9, atol=4 * np.sqrt(0.09 / 4000))
    gumbel = np.asarray(maskgit.gumbel(jnp.linspace(0, 1, 10_001)[:-1]))
    assert np.isfinite(gumbel).all()
    np.testing.assert_allclose(gumbel[1:].mean(), np.euler_gamma, atol=5e-3)


def test_guidance_constant_and_ramped():
    class Two(Fixed):
        def apply(self, variables, codes, known, told):
            own = jax.nn.one_hot(2, CODES) * (told.label < CLASSES)[:, None, None]
            return jnp.broadcast_to(10 * own, (*codes.shape, CODES))

    module, keys = Two(None), chains.keys(4)
    draw = partial(maskgit.sample, module, {}, Told(LABEL), keys, steps=2)
    assert (draw(guidance=5.0).codes == 2).all()
    assert (draw(guidance=0.0).codes != 2).any()
    assert (draw(guidance=0.0, ramped=True).codes != 2).any()
    with pytest.raises(UserError, match='guidance needs'):
        maskgit.sample(module, {}, None, keys, guidance=2.0)


def test_a_seed_gives_the_same_codes_in_any_batch_and_on_any_device():
    module, variables = built()
    keys, label = chains.keys(8), jnp.arange(8) % 3
    draw = jax.jit(partial(maskgit.sample, module, variables, guidance=2.0))
    together = draw(Told(label), keys).codes
    np.testing.assert_array_equal(together[2:6], draw(Told(label[2:6]), keys[2:6]).codes)
    np.testing.assert_array_equal(together[5:6], draw(Told(label[5:6]), keys[5:6]).codes)
    apart = jax.pmap(draw)(Told(label[:, None]), keys[:, None]).codes
    np.testing.assert_array_equal(apart[:, 0], together)


@pytest.mark.parametrize(
    'fields,words',
    [
        ({'steps': 17}, '17 steps for 16 tokens'),
        ({'given': jnp.zeros((4, LENGTH), int)}, 'give both or neither'),
        ({'schedule': 'cos'}, 'the schedule of masks'),
    ],
)
def test_errors(fields, words):
    module, variables = built()
    with pytest.raises(UserError, match=words):
        maskgit.sample(module, variables, Told(LABEL), chains.keys(4), **fields)


class Exact:
    """In the place of a module: the chain of four codes itself, by its 256 sequences."""

    codes, transformer = chains.CODES, Transformer(4, num_classes=chains.CLASSES)
    sequences = np.stack(np.meshgrid(*[np.arange(4)] * 4, indexing='ij'), -1).reshape(-1, 4)

    def apply(self, variables, codes, known, told, keys=None):
        steps = chains.TRANSITION[:, self.sequences[:, :-1], self.sequences[:, 1:]]
        own = jnp.asarray(steps.prod(-1) / 4)[told.label]
        agree = ((self.sequences == codes[:, None]) | ~known[:, None]).all(-1)
        each = jax.nn.one_hot(self.sequences, 4)
        return jnp.log(jnp.einsum('bs,snk->bnk', own * agree, each))


def test_the_loss_of_the_chain_itself_is_its_entropy():
    """In any order: the linear schedule hides every number of codes equally often."""
    label = jnp.arange(8192) % 2
    codes = chains.chain(jax.random.key(1), label, 4)
    apply = partial(Exact().apply, None)
    loss = jax.jit(partial(maskgit.loss, apply, schedule='linear'))
    found = loss(codes, Told(label), chains.keys(8192))
    assert abs(found.mean() - chains.nats(4)) < 4 * found.std() / np.sqrt(8192)
    assert found.std() / np.sqrt(8192) < 0.01


def test_one_code_a_step_in_a_fixed_order_draws_from_the_chain_itself():
    label, order = jnp.arange(4000) % 2, halton.order(2, 2)
    draw = partial(maskgit.sample, Exact(), None, steps=4, schedule='linear', order=order)
    drawn = np.asarray(jax.jit(draw)(Told(label), chains.keys(4000)).codes)
    for own in range(2):
        codes = drawn[np.asarray(label) == own]
        often = chains.transitions(codes[:, :-1], codes[:, 1:])
        np.testing.assert_allclose(often, chains.TRANSITION[own], atol=0.05)
        np.testing.assert_allclose(np.bincount(codes[:, 0]) / 2000, 0.25, atol=0.04)


def test_a_trained_prior_has_the_entropy_of_the_codes_and_their_frequencies():
    """Independent codes whose probabilities depend on the class."""
    length, label = 8, jnp.arange(512) % 2
    module = MaskGIT(chains.CODES, Transformer(length, 32, 2, 4, num_classes=chains.CLASSES))
    empty = jnp.zeros((1, length), int)
    start = jax.jit(module.init)(jax.random.key(0), empty, empty > 0, Told(label[:1]))

    def codes(key, label):
        return chains.follow(key, label, jnp.zeros((len(label), length), int))

    def loss(variables, codes, told, keys):
        return maskgit.loss(partial(module.apply, variables), codes, told, keys)

    variables, found = chains.train(loss, codes, start, steps=200, judged=8192)
    assert abs(found - chains.ROW_NATS) < 0.03
    # Confidence would prefer what is likely; noise alone does not.
    draw = jax.jit(partial(maskgit.sample, module, steps=4, noise=1e6))
    drawn = np.asarray(draw(variables, Told(label), chains.keys(512)).codes)
    for own in range(2):
        often = np.bincount(drawn[np.asarray(label) == own].ravel(), minlength=4) / (256 * length)
        np.testing.assert_allclose(often, chains.TRANSITION[own, 0], atol=0.05)
