"""Attention maps and what is made of them."""

from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.recognition import ViT, attention

LAYERS, HEADS, TOKENS = 3, 2, 7
MAPS = jax.nn.softmax(jax.random.normal(jax.random.key(0), (2, LAYERS, HEADS, TOKENS, TOKENS)))


def test_maps_do_not_change_the_logits():
    module = ViT(4, patch=4, width=16, depth=2, heads=4, mlp_width=16)
    images = jax.random.normal(jax.random.key(1), (2, 8, 12, 3))
    variables = jax.jit(module.init)(jax.random.key(0), images)
    variables = jax.tree.map(lambda x: 3 * x, variables)
    logits, maps = jax.jit(partial(module.apply, maps=True))(variables, images)
    assert maps.shape == (2, 2, 4, 7, 7)
    np.testing.assert_allclose(maps.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(logits, jax.jit(module.apply)(variables, images), atol=1e-5)


def test_rollout_is_the_walk_of_a_token():
    """The class token's row is where a walk of one step per layer, half of them resting, ends."""
    walk = np.zeros((2, TOKENS))
    walk[:, 0] = 1
    for layer in reversed(range(LAYERS)):
        walk = 0.5 * walk + 0.5 * np.einsum('bn,bnm->bm', walk, MAPS[:, layer].mean(1))
    wanted = walk[:, 1:] / walk[:, 1:].sum(1, keepdims=True)
    np.testing.assert_allclose(attention.rollout(MAPS), wanted, rtol=1e-5)


@pytest.mark.parametrize('layer', [0, -1])
def test_class_attention(layer):
    wanted = np.asarray(MAPS)[:, layer, :, 0, 1:].mean(1)
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(attention.class_attention(MAPS, layer), wanted, rtol=1e-6)


def test_patches_go_row_by_row():
    places = attention.grid(jnp.arange(6.0)[None], 8, 12)
    np.testing.assert_array_equal(places[0], [[0, 1, 2], [3, 4, 5]])
