"""What priors are told, told nothing, and refuse to be told."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.tokens import guidance as guide
from jaxcv.tokens.told import Prefix, Told, dropped, null

TOLD = Told(jnp.array([0, 4]), jnp.array([[3, 1, 0], [2, 0, 0]]))


def test_nothing_is_the_last_label_and_no_words():
    nothing = null(TOLD, 5)
    np.testing.assert_array_equal(nothing.label, [5, 5])
    np.testing.assert_array_equal(nothing.text, np.zeros((2, 3)))
    assert null(Told()) == Told()
    with pytest.raises(UserError, match='num_classes'):
        null(TOLD)


def test_labels_are_dropped_by_sample_and_at_the_rate():
    label = jnp.arange(4000) % 5
    keys = jax.random.split(jax.random.key(0), 4000)
    found = dropped(Told(label, label[:, None] + 1), keys, 0.1, 5)
    gone = np.asarray(found.label == 5)
    assert abs(gone.mean() - 0.1) < 4 * np.sqrt(0.09 / 4000)
    np.testing.assert_array_equal(found.label[~gone], label[~gone])
    np.testing.assert_array_equal(found.text[:, 0] == 0, gone)
    part = dropped(Told(label[7:9]), keys[7:9], 0.1, 5)
    np.testing.assert_array_equal(part.label, found.label[7:9])


@pytest.mark.parametrize(
    'fields,told,words',
    [
        ({}, Told(jnp.zeros(2, int)), 'label is given, but the prior was built without'),
        ({'num_classes': 3}, Told(), 'label is missing, but the prior was built with num_classes'),
        ({'num_classes': 3}, TOLD, 'text is given'),
        ({'words': 9, 'text_length': 3}, None, 'text is missing'),
        ({'words': 9, 'text_length': 4}, TOLD._replace(label=None), 'text_length=4'),
    ],
)
def test_what_a_prior_has_no_place_for_is_refused(fields, told, words):
    with pytest.raises(UserError, match=words):
        jax.eval_shape(lambda: Prefix(8, **fields).init(jax.random.key(0), told, 2))


def test_guidance_of_logits():
    own, free = np.random.default_rng(0).normal(size=(2, 3, 7)).astype(np.float32)
    both = np.concatenate([own, free])
    w = 1.5  # the convention (1 + w) c - w u
    np.testing.assert_allclose(guide.mixed(both, 1 + w), (1 + w) * own - w * free, rtol=1e-5)
    np.testing.assert_allclose(guide.mixed(both, 3.0, 0.0), free, rtol=1e-6)
    assert guide.mixed(own, 1.0) is own
    np.testing.assert_allclose(guide.ramp(4.0, 4), [1, 2, 3, 4])
    np.testing.assert_allclose(guide.ramp(4.0, 1), [1])


def test_guidance_doubles_what_is_told_and_only_then():
    both = guide.branches(TOLD, 2.0, 5)
    np.testing.assert_array_equal(both.label, [0, 4, 5, 5])
    assert both.text.shape == (4, 3)
    assert guide.branches(TOLD, 1.0, 5) is TOLD
    with pytest.raises(UserError, match='guidance needs a label or a text'):
        guide.branches(Told(), 2.0, None)
