"""Transformer blocks, and what wraps them where a U-Net attends."""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jaxcv.nn.activation import Activation
from jaxcv.nn.attention import INIT, Attention
from jaxcv.nn.dense import Dense
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.nn.regularize import Dropout


class Mlp(linen.Module):
    """project(act(expand(x))); with `gated`, project(a * act(b)), where [a, b] = expand(x)
    (Shazeer, 2020)."""

    width: int
    activation: str = 'gelu_tanh'
    gated: bool = False
    dropout: float = 0.0
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b n d'], keys: Key[Array, 'b'] | None = None
    ) -> Float[Array, 'b n d']:
        act = Activation(self.activation, name='act')
        outputs = self.width * (2 if self.gated else 1)
        y = Dense(outputs, kernel_init=INIT, dtype=self.dtype, name='expand')(x)
        if self.gated:
            value, gate = jnp.split(y, 2, axis=-1)
            y = value * act(gate)
        else:
            y = act(y)
        y = Dropout(self.dropout, name='dropout')(y, keys)
        return Dense(x.shape[-1], kernel_init=INIT, dtype=self.dtype, name='project')(y)


class Block(linen.Module):
    """x + attention(norm(x)), with tokens x + cross(norm(x), tokens), and x + mlp(norm(x))."""

    heads: int
    mlp_width: int
    activation: str = 'gelu_tanh'
    gated: bool = False
    qkv_bias: bool = True
    epsilon: float = 1e-5
    dropout: float = 0.0
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b n d'],
        tokens: Float[Array, 'b m e'] | None = None,
        mask: Bool[Array, 'b m'] | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b n d']:
        """With tokens, `mask` is theirs; without, it is that of x."""

        def branch(name, *context):
            layer = Attention(
                self.heads,
                qkv_bias=self.qkv_bias,
                implementation=self.implementation,
                dtype=self.dtype,
                name=name,
            )
            y = layer(self.norm(f'{name}_norm')(x), *context)
            return x + Dropout(self.dropout, name=f'{name}_dropout')(y, keys)

        x = branch('attention', None, mask if tokens is None else None)
        if tokens is not None:
            x = branch('cross', tokens, mask)
        mlp = Mlp(self.mlp_width, self.activation, self.gated, self.dropout, self.dtype, name='mlp')
        return x + mlp(self.norm('mlp_norm')(x), keys)

    def norm(self, name):
        return linen.LayerNorm(self.epsilon, dtype=self.dtype, name=name)


class SpatialTransformer(linen.Module):
    """Transformer blocks over all positions of an image, which also attend to tokens
    (Rombach et al., 2022): x + project_out(blocks(project_in(norm(x))))."""

    heads: int
    depth: int = 1
    groups: int = 32
    dropout: float = 0.0
    implementation: str | None = None
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b h w c'],
        tokens: Float[Array, 'b m e'],
        mask: Bool[Array, 'b m'] | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b h w c']:
        b, h, w, c = x.shape
        y = GroupNorm(self.groups, 1e-6, self.dtype, name='norm')(x).reshape(b, h * w, c)
        y = Dense(c, dtype=self.dtype, name='project_in')(y)
        for i in range(self.depth):
            y = Block(
                self.heads,
                4 * c,
                'gelu',
                gated=True,
                qkv_bias=False,
                dropout=self.dropout,
                implementation=self.implementation,
                dtype=self.dtype,
                name=f'block{i}',
            )(y, tokens, mask, keys)
        y = Dense(c, dtype=self.dtype, name='project_out')(y)
        return x + y.reshape(x.shape)
