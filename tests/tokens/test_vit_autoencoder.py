"""The transformer halves of an autoencoder, and torch's transformer."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.nn.patchify import cut
from jaxcv.tokens.vit import ViTDecoder, ViTEncoder

ENCODER = ViTEncoder(5, patch=4, width=8, depth=1, heads=2, activation='gelu')
DECODER = ViTDecoder(3, patch=4, width=8, depth=1, heads=2, head=True)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def filled(module, *shape):
    """Random variables, without compiling the initializers."""
    like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *shape)))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.asarray(generator.normal(size=x.shape) * 0.3, x.dtype), like)


def test_any_size_that_patches_divide():
    encode, decode = jax.jit(ENCODER.apply), jax.jit(DECODER.apply)
    encoder, decoder = filled(ENCODER, 8, 8, 3), filled(DECODER, 2, 2, 5)
    images = normal(2, 8, 16, 3)
    z = encode(encoder, images)
    assert z.shape == (2, 2, 4, 5)
    assert decode(decoder, z).shape == images.shape
    with pytest.raises(UserError, match='8x10 do not divide into patches of 4x4'):
        ENCODER.apply(encoder, normal(2, 8, 10, 3))


def test_tokens_stand_where_their_patches_do():
    """Without blocks a latent sees its own patch alone, and a pixel its own latent."""
    encoder, decoder = ENCODER.clone(depth=0), DECODER.clone(depth=0)
    images, z = normal(1, 8, 16, 3), normal(1, 2, 4, 5)
    seen = jax.grad(lambda x: encoder.apply(filled(encoder, 8, 8, 3), x)[0, 1, 2].sum())(images)
    where = np.abs(seen[0]).sum(-1) > 0
    assert where[4:8, 8:12].all() and where.sum() == 16
    seen = jax.grad(lambda z: decoder.apply(filled(decoder, 2, 2, 5), z)[0, 5, 9].sum())(z)
    where = np.abs(seen[0]).sum(-1) > 0
    assert where[1, 2] and where.sum() == 1


@pytest.mark.oracles
def test_against_torch():
    torch = pytest.importorskip('torch')
    variables, images = filled(ENCODER, 8, 8, 3), normal(2, 8, 12, 3)
    params = jax.tree.map(lambda x: torch.tensor(np.asarray(x)), variables['params'])
    layer = torch.nn.TransformerEncoderLayer(
        8, 2, 32, 0.0, 'gelu', 1e-6, batch_first=True, norm_first=True
    )
    block = params['block0']
    layer.load_state_dict(
        {
            'self_attn.in_proj_weight': block['attention']['qkv']['kernel'].T,
            'self_attn.in_proj_bias': block['attention']['qkv']['bias'],
            'self_attn.out_proj.weight': block['attention']['out']['kernel'].T,
            'self_attn.out_proj.bias': block['attention']['out']['bias'],
            'linear1.weight': block['mlp']['expand']['kernel'].T,
            'linear1.bias': block['mlp']['expand']['bias'],
            'linear2.weight': block['mlp']['project']['kernel'].T,
            'linear2.bias': block['mlp']['project']['bias'],
            'norm1.weight': block['attention_norm']['scale'],
            'norm1.bias': block['attention_norm']['bias'],
            'norm2.weight': block['mlp_norm']['scale'],
            'norm2.bias': block['mlp_norm']['bias'],
        }
    )
    # The formula of He et al. (2022), a position at a time.
    place = np.zeros((2, 3, 8))
    for row, column in np.ndindex(2, 3):
        for i, frequency in enumerate((1.0, 0.01)):
            place[row, column, [i, i + 2]] = np.sin(column * frequency), np.cos(column * frequency)
            place[row, column, [i + 4, i + 6]] = np.sin(row * frequency), np.cos(row * frequency)
    x = torch.tensor(np.asarray(cut(images, 4)))
    x = x @ params['patches']['kernel'].reshape(-1, 8) + params['patches']['bias']
    with torch.no_grad():
        x = layer(x + torch.tensor(place.reshape(6, 8), dtype=torch.float32))
        norm = params['norm']
        x = torch.nn.functional.layer_norm(x, (8,), norm['scale'], norm['bias'], 1e-6)
        x = x @ params['project']['kernel'] + params['project']['bias']
    found = ENCODER.apply(variables, images)
    np.testing.assert_allclose(found.reshape(2, 6, 5), x.numpy(), rtol=1e-3, atol=1e-4)
