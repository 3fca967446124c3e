"""The diffusion transformer (Peebles and Xie, 2023)."""

from functools import partial

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.diffusion.networks.condition import SMALL, Condition, Embedding, check, joined
from jaxcv.errors import UserError, choose
from jaxcv.nn.attention import Attention
from jaxcv.nn.dense import Dense
from jaxcv.nn.patchify import Patches, assembled, grid, positions
from jaxcv.nn.regularize import Dropout
from jaxcv.nn.transformer import Block, Mlp

# The paper's sizes; with `patch` 2 on latents of 32x32, XL is DiT-XL/2.
SIZES = {
    'S': {'width': 384, 'depth': 12, 'heads': 6},
    'B': {'width': 768, 'depth': 12, 'heads': 12},
    'L': {'width': 1024, 'depth': 24, 'heads': 16},
    'XL': {'width': 1152, 'depth': 28, 'heads': 16},
}
VARIANTS = ('adaln_zero', 'in_context', 'cross_attention')
INIT = linen.initializers.xavier_uniform()
ZEROS = linen.initializers.zeros


class DiT(linen.Module):
    """A transformer over patches with fixed positions that outputs an image.

    `variant` is how time, class and tokens enter:
      adaln_zero       their sum shifts, scales and gates every branch; each block starts as the
                       identity. No tokens.
      in_context       time, class and tokens are tokens beside the patches.
      cross_attention  the patches attend to them in a layer of their own.

    A fresh network outputs exactly 0. `learn_sigma` doubles the channels of the output: the second
    half is the fraction of the learned variance. `embed_per_block` gives every block its own
    embedding of time and class; the published weights share one, diffusers' keep a copy per block.
    """

    num_classes: int | None = None
    patch: int = 2
    width: int = 384
    depth: int = 12
    heads: int = 6
    mlp_width: int | None = None  # default: 4 * width
    out_channels: int | None = None  # default: as many as x has
    learn_sigma: bool = False
    null_class: bool = True
    variant: str = 'adaln_zero'
    tokens: bool = False
    activation: str = 'gelu_tanh'
    epsilon: float = 1e-6
    mlp_epsilon: float = 1e-6
    dropout: float = 0.0
    time_width: int = 256
    time_shift: float = 0.0
    embed_per_block: bool = False
    remat: bool = False
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b h w c'],
        time: Float[Array, 'b'],
        condition: Condition | None = None,
        train: bool = False,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b h w d']:
        variant = choose(self.variant, VARIANTS, 'the variant of a DiT')
        if self.tokens and variant == 'adaln_zero':
            raise UserError('a DiT with tokens needs variant "in_context" or "cross_attention"')
        condition = check(condition, self.num_classes is not None, self.tokens, False)
        keys = keys if train else None
        channels = (self.out_channels or x.shape[-1]) * (2 if self.learn_sigma else 1)
        rows, columns = grid(x, self.patch)
        y = Patches(self.patch, self.width, self.dtype, name='patches')(joined(x, condition))
        y = y + jnp.asarray(positions(rows, columns, self.width), y.dtype)
        if variant == 'adaln_zero':
            y = self.modulated(y, time, condition, keys)
        else:
            y = self.attending(y, time, condition, keys)
        y = Dense(self.patch**2 * channels, kernel_init=ZEROS, dtype=self.dtype, name='project')(y)
        return assembled(y, rows, columns, self.patch).astype(x.dtype)

    def modulated(self, y, time, condition, keys):
        """Blocks and last norm, scaled and shifted by the embedding."""
        names = [f'embedding{i}' for i in range(self.depth)]
        names = names if self.embed_per_block else ['embedding']
        # Every user passes the embedding through silu first.
        vectors = [jax.nn.silu(sum(self.embedding(name)(time, condition))) for name in names]
        block = linen.remat(ModulatedBlock) if self.remat else ModulatedBlock
        for i in range(self.depth):
            y = block(
                self.heads,
                self.mlp_width or 4 * self.width,
                self.activation,
                self.epsilon,
                self.mlp_epsilon,
                self.dropout,
                self.implementation,
                self.dtype,
                name=f'block{i}',
            )(y, vectors[i % len(vectors)], keys)
        shift, scale = modulation(self, vectors[0], 2)
        return norm(y, self.epsilon, self.dtype) * (1 + scale) + shift

    def attending(self, y, time, condition, keys):
        """Blocks for whose attention time, label and tokens are tokens, and the last norm."""
        told = jnp.stack(self.embedding('embedding')(time, condition), axis=1)
        mask = None
        if self.tokens:
            dense = Dense(self.width, kernel_init=INIT, dtype=self.dtype, name='tokens')
            tokens = dense(condition.tokens)
            if condition.mask is not None:
                always = jnp.ones(told.shape[:2], bool)
                mask = jnp.concatenate([always, condition.mask], axis=1)
            told = jnp.concatenate([told, tokens], axis=1)
        beside = self.variant == 'in_context'
        if beside:
            if mask is not None:
                mask = jnp.concatenate([mask, jnp.ones(y.shape[:2], bool)], axis=1)
            y = jnp.concatenate([told, y], axis=1)
        block = linen.remat(Block) if self.remat else Block
        for i in range(self.depth):
            y = block(
                self.heads,
                self.mlp_width or 4 * self.width,
                self.activation,
                epsilon=self.epsilon,
                dropout=self.dropout,
                implementation=self.implementation,
                dtype=self.dtype,
                name=f'block{i}',
            )(y, None if beside else told, mask, keys)
        y = y[:, told.shape[1] :] if beside else y
        return linen.LayerNorm(self.epsilon, dtype=self.dtype, name='norm')(y)

    def embedding(self, name):
        return Embedding(
            self.width,
            self.time_width,
            self.num_classes,
            self.null_class,
            shift=self.time_shift,
            kernel_init=SMALL,
            dtype=self.dtype,
            name=name,
        )


class ModulatedBlock(linen.Module):
    """x + gate * attention(modulated norm(x)), then x + gate * mlp(modulated norm(x)).

    Both norms have no parameters of their own; shift, scale and gate of each come from the
    embedding by the layer `modulation`, which starts at zero.
    """

    heads: int
    mlp_width: int
    activation: str = 'gelu_tanh'
    epsilon: float = 1e-6
    mlp_epsilon: float = 1e-6
    dropout: float = 0.0
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b n d'],
        embedding: Float[Array, 'b d'],
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b n d']:
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation(self, embedding, 6)
        y = norm(x, self.epsilon, self.dtype) * (1 + scale1) + shift1
        attention = Attention(
            self.heads, implementation=self.implementation, dtype=self.dtype, name='attention'
        )
        x = x + gate1 * Dropout(self.dropout, name='dropout')(attention(y), keys)
        y = norm(x, self.mlp_epsilon, self.dtype) * (1 + scale2) + shift2
        mlp = Mlp(self.mlp_width, self.activation, False, self.dropout, self.dtype, name='mlp')
        return x + gate2 * mlp(y, keys)


def modulation(
    module: linen.Module, embedding: Float[Array, 'b d'], parts: int
) -> list[Float[Array, 'b 1 d']]:
    """`parts` vectors per sample, zero in a fresh network, from the layer `modulation`."""
    dense = Dense(
        parts * embedding.shape[-1], kernel_init=ZEROS, dtype=module.dtype, name='modulation'
    )
    return jnp.split(dense(embedding)[:, None], parts, axis=-1)


def norm(x: Float[Array, 'b n d'], epsilon: float, dtype) -> Float[Array, 'b n d']:
    """Layer normalization without parameters, in float32."""
    return standardized(x.astype(jnp.float32), epsilon).astype(dtype or x.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def standardized(x: Float[Array, '*s d'], epsilon: float) -> Float[Array, '*s d']:
    """(x - mean) / sqrt(variance + epsilon)."""
    return deviation(x, epsilon)[0]


@standardized.defjvp
def standardized_tangent(epsilon, primals, tangents):
    """With the gradient written, which has fewer passes than autodiff's."""
    y, inverse = deviation(*primals, epsilon)
    tangent = tangents[0] * inverse
    along = (tangent * y).mean(-1, keepdims=True)
    return y, tangent - tangent.mean(-1, keepdims=True) - y * along


def deviation(x, epsilon):
    """`standardized`, and what it multiplies by."""
    x = x - x.mean(-1, keepdims=True)
    inverse = jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + epsilon)
    return x * inverse, inverse
