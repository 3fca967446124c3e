"""Residual blocks of convolutional generators, and what halves and doubles their images.

Shared by the U-Nets of diffusion and by autoencoders.
"""

from flax import linen
from flax.linen.initializers import Initializer
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.errors import UserError, choose
from jaxcv.nn.activation import Activation
from jaxcv.nn.conv import Conv
from jaxcv.nn.dense import Dense
from jaxcv.nn.group_norm import GroupNorm
from jaxcv.nn.regularize import Dropout

INIT = linen.initializers.lecun_normal()


class ResidualBlock(linen.Module):
    """(x + conv2(dropout(act(norm2(conv1(act(norm1(x)))))))) / divisor.

    An `embedding` of time (and class) passes an activation and a linear layer `time`, and enters
    per channel: with `modulation='shift'` it is added before norm2 (Ho et al., 2020), with
    'scale_shift' it modulates norm2's output, y (1 + scale) + shift (Dhariwal and Nichol, 2021).
    Where the number of features changes, x passes a 1x1 convolution `shortcut`. `resize` 'down'
    or 'up' halves or doubles both x and what enters conv1.
    """

    features: int
    groups: int = 32
    epsilon: float = 1e-5
    activation: str = 'silu'
    modulation: str = 'shift'
    resize: str | None = None
    dropout: float = 0.0
    divisor: float = 1.0
    out_init: Initializer = INIT
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self,
        x: Float[Array, 'b h w c'],
        embedding: Float[Array, 'b e'] | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b h2 w2 d']:
        act = Activation(self.activation, name='act')
        y = act(GroupNorm(self.groups, self.epsilon, self.dtype, name='norm1')(x))
        x, y = resized(x, self.resize), resized(y, self.resize)
        y = Conv(self.features, dtype=self.dtype, name='conv1')(y)
        shift, modulation = self.modulate(act, embedding)
        y = y if shift is None else y + shift[:, None, None]
        y = act(GroupNorm(self.groups, self.epsilon, self.dtype, name='norm2')(y, modulation))
        y = Dropout(self.dropout, name='dropout')(y, keys)
        y = Conv(self.features, kernel_init=self.out_init, dtype=self.dtype, name='conv2')(y)
        if x.shape[-1] != self.features:
            x = Conv(self.features, (1, 1), dtype=self.dtype, name='shortcut')(x)
        y = x + y
        return y if self.divisor == 1.0 else y / self.divisor

    def modulate(self, act, embedding):
        """(what is added before norm2, what modulates its output)."""
        kind = choose(self.modulation, ('shift', 'scale_shift'), 'the modulation of a block')
        if embedding is None:
            return None, None
        outputs = self.features * (2 if kind == 'scale_shift' else 1)
        y = Dense(outputs, dtype=self.dtype, name='time')(act(embedding))
        if kind == 'shift':
            return y, None
        return None, tuple(jnp.split(y, 2, axis=-1))


class Downsample(linen.Module):
    """Halves the image with a 3x3 convolution of stride 2.

    `padding` 1 puts a zero on every side, 0 only below and to the right (autoencoders of latent
    diffusion).
    """

    features: int
    padding: int = 1
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 d']:
        pads = ((self.padding, 1),) * 2
        return Conv(self.features, (3, 3), 2, pads, dtype=self.dtype, name='conv')(x)


class Upsample(linen.Module):
    """Doubles the image by repetition, then a 3x3 convolution."""

    features: int
    dtype: jnp.dtype | None = None

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], size: tuple[int, int] | None = None
    ) -> Float[Array, 'b h2 w2 d']:
        """To `size`, where the image that was halved to x had odd sides."""
        y = doubled(x)
        if size is not None:
            y = y[:, : size[0], : size[1]]
        return Conv(self.features, (3, 3), dtype=self.dtype, name='conv')(y)


def resized(x: Float[Array, 'b h w c'], resize: str | None) -> Float[Array, 'b h2 w2 c']:
    """`halved` for 'down', `doubled` for 'up', x itself for None."""
    if resize is None:
        return x
    return {'down': halved, 'up': doubled}[choose(resize, ('down', 'up'), 'resize')](x)


def doubled(x: Float[Array, 'b h w c']) -> Float[Array, 'b 2*h 2*w c']:
    """Every pixel four times (nearest neighbor)."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
    return x.reshape(b, 2 * h, 2 * w, c)


def halved(x: Float[Array, 'b h w c']) -> Float[Array, 'b h/2 w/2 c']:
    """Means of 2x2 pixels."""
    b, h, w, c = x.shape
    if h % 2 or w % 2:
        raise UserError(f'an image of {h}x{w} cannot be halved; its sides must be even')
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
