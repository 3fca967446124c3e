"""The vision transformer (Dosovitskiy et al., 2021)."""

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.errors import UserError
from jaxcv.nn import Activation, Conv, Dense, Dropout, LayerNorm, StochasticDepth
from jaxcv.recognition.head import head

SIZES = {
    'tiny': {'width': 192, 'depth': 12, 'heads': 3, 'mlp_width': 768},
    'small': {'width': 384, 'depth': 12, 'heads': 6, 'mlp_width': 1536},
    'base': {'width': 768, 'depth': 12, 'heads': 12, 'mlp_width': 3072},
    'large': {'width': 1024, 'depth': 24, 'heads': 16, 'mlp_width': 4096},
    'huge': {'width': 1280, 'depth': 32, 'heads': 16, 'mlp_width': 5120},
}
INIT = linen.initializers.xavier_uniform()


class Attention(linen.Module):
    """softmax(q k^T / sqrt(width per head)) v over all tokens, in several heads."""

    heads: int
    qkv_bias: bool = True

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b n d'], maps: bool = False
    ) -> tuple[Float[Array, 'b n d'], Float[Array, 'b heads n n'] | None]:
        """With `maps`, also the softmax: whom (last axis) each token looks at."""
        width = x.shape[-1]
        if width % self.heads:
            raise UserError(f'a width of {width} does not divide into {self.heads} heads')

        def project(name):
            dense = Dense(width, use_bias=self.qkv_bias, kernel_init=INIT, name=name)
            return dense(x).reshape(*x.shape[:-1], self.heads, width // self.heads)

        query, key, value = project('query'), project('key'), project('value')
        weights = None
        if maps:
            weights = attention_weights(query, key)
            y = jnp.einsum('bhqk,bkhd->bqhd', weights.astype(value.dtype), value)
        else:
            y = jax.nn.dot_product_attention(query, key, value)
        return Dense(width, kernel_init=INIT, name='out')(y.reshape(x.shape)), weights


def attention_weights(
    query: Float[Array, 'b q h d'], key: Float[Array, 'b k h d']
) -> Float[Array, 'b h q k']:
    """softmax over k of <q, k> / sqrt(d), in float32."""
    scores = jnp.einsum('bqhd,bkhd->bhqk', query, key, preferred_element_type=jnp.float32)
    return jax.nn.softmax(scores / jnp.sqrt(query.shape[-1]), axis=-1)


class Block(linen.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    heads: int
    mlp_width: int
    activation: str = 'gelu'
    qkv_bias: bool = True
    epsilon: float = 1e-6
    dropout: float = 0.0
    drop_path: float = 0.0

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b n d'], keys: Key[Array, 'b'] | None, maps: bool = False
    ) -> tuple[Float[Array, 'b n d'], Float[Array, 'b heads n n'] | None]:
        y = LayerNorm(self.epsilon, name='attention_norm')(x)
        y, weights = Attention(self.heads, self.qkv_bias, name='attention')(y, maps)
        y = Dropout(self.dropout, name='attention_dropout')(y, keys)
        x = x + StochasticDepth(self.drop_path, name='attention_drop')(y, keys)
        y = LayerNorm(self.epsilon, name='mlp_norm')(x)
        y = Dense(self.mlp_width, kernel_init=INIT, name='expand')(y)
        y = Activation(self.activation, name='activation')(y)
        y = Dense(x.shape[-1], kernel_init=INIT, name='project')(y)
        y = Dropout(self.dropout, name='mlp_dropout')(y, keys)
        return x + StochasticDepth(self.drop_path, name='mlp_drop')(y, keys), weights


class ViT(linen.Module):
    """Patches and a class token with learned positions, pre-norm blocks, a linear head on the
    class token.

    The size of the images is fixed by the first call: there is one position per patch.
    `drop_path` is the rate of stochastic depth in the last block, rising from 0 linearly.
    """

    num_classes: int
    patch: int = 16
    width: int = 192
    depth: int = 12
    heads: int = 3
    mlp_width: int = 768
    activation: str = 'gelu'
    qkv_bias: bool = True
    epsilon: float = 1e-6
    dropout: float = 0.0
    drop_path: float = 0.0

    @linen.compact
    def __call__(
        self,
        images: Float[Array, 'b h w c'],
        train: bool = False,
        keys: Key[Array, 'b'] | None = None,
        features: bool = False,
        maps: bool = False,
    ) -> Float[Array, 'b classes'] | tuple[Float[Array, 'b ...'], ...]:
        """Logits; then the features, if asked; then every attention map, if asked:
        [b layers heads n n], where token 0 is the class token and the others are the patches,
        row by row."""
        b, h, w, _ = images.shape
        if h % self.patch or w % self.patch:
            raise UserError(f'images of {h}x{w} do not divide into patches of {self.patch}')
        size = (self.patch, self.patch)
        x = Conv(self.width, size, self.patch, 'VALID', kernel_init=INIT, name='patches')(images)
        x = x.reshape(b, -1, self.width)
        token = self.param('class_token', linen.initializers.zeros, (self.width,))
        token = jnp.broadcast_to(token.astype(x.dtype), (b, 1, self.width))
        x = jnp.concatenate([token, x], axis=1)
        init = linen.initializers.normal(0.02)
        x = x + self.param('positions', init, x.shape[1:]).astype(x.dtype)
        x = Dropout(self.dropout, name='dropout')(x, keys)
        weights = []
        for i in range(self.depth):
            x, weight = Block(
                self.heads,
                self.mlp_width,
                self.activation,
                self.qkv_bias,
                self.epsilon,
                self.dropout,
                self.drop_path * i / max(self.depth - 1, 1),
                name=f'block{i}',
            )(x, keys, maps)
            weights.append(weight)
        x = LayerNorm(self.epsilon, name='norm')(x[:, 0])
        out = head(x, self.num_classes, features, linen.initializers.truncated_normal(0.02))
        if not maps:
            return out
        return (*(out if features else (out,)), jnp.stack(weights, axis=1))
