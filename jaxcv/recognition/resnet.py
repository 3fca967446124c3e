"""Residual networks (He et al., 2016), in the form v1.5: a bottleneck downsamples in its 3x3."""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.errors import choose
from jaxcv.nn import Activation, BatchNorm, Conv, StochasticDepth
from jaxcv.recognition.head import head
from jaxcv.recognition.stages import blocks

BASIC = {'widths': (64, 128, 256, 512), 'block': 'basic'}
BOTTLENECK = {'widths': (256, 512, 1024, 2048), 'block': 'bottleneck'}
SIZES = {
    '18': {'depths': (2, 2, 2, 2)} | BASIC,
    '34': {'depths': (3, 4, 6, 3)} | BASIC,
    '50': {'depths': (3, 4, 6, 3)} | BOTTLENECK,
    '101': {'depths': (3, 4, 23, 3)} | BOTTLENECK,
    '152': {'depths': (3, 8, 36, 3)} | BOTTLENECK,
}
# fan_out keeps the variance of gradients on their way back (He et al., 2015).
INIT = linen.initializers.variance_scaling(2.0, 'fan_out', 'normal')


class Block(linen.Module):
    """activation(shortcut(x) + branch(x)).

    The branch is 3x3, 3x3 (`basic`), or 1x1, 3x3, 1x1 with a quarter of the channels inside
    (`bottleneck`). `stride_first` puts a bottleneck's stride into its first 1x1, as the original
    publication had it, instead of its 3x3.
    """

    width: int
    stride: int = 1
    bottleneck: bool = False
    stride_first: bool = False
    activation: str = 'relu'
    epsilon: float = 1e-5
    drop_path: float = 0.0

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], train: bool, keys: Key[Array, 'b'] | None
    ) -> Float[Array, 'b i j d']:
        inner, s = self.width // 4, self.stride
        if self.bottleneck:
            first, second = (s, 1) if self.stride_first else (1, s)
            layers = [(inner, 1, first), (inner, 3, second), (self.width, 1, 1)]
        else:
            layers = [(self.width, 3, s), (self.width, 3, 1)]
        y = x
        for i, (width, size, stride) in enumerate(layers):
            y = self.conv(width, size, stride, f'conv{i}')(y)
            y = BatchNorm(epsilon=self.epsilon, name=f'norm{i}')(y, train)
            if i < len(layers) - 1:
                y = Activation(self.activation, name=f'activation{i}')(y)
        if x.shape[-1] != self.width or s != 1:
            x = self.conv(self.width, 1, s, 'shortcut_conv')(x)
            x = BatchNorm(epsilon=self.epsilon, name='shortcut_norm')(x, train)
        x = x + StochasticDepth(self.drop_path, name='drop')(y, keys)
        return Activation(self.activation, name='activation')(x)

    def conv(self, width, size, stride, name):
        # Explicit padding: 'SAME' with stride 2 pads on one side only.
        return Conv(
            width,
            (size, size),
            stride,
            padding=size // 2,
            use_bias=False,
            kernel_init=INIT,
            name=name,
        )


class ResNet(linen.Module):
    """A stem, stages of residual blocks, the mean over space and a linear head.

    `widths` are the channels that leave each stage. Stem `large` is a 7x7 convolution with stride
    2 and a 3x3 maximum with stride 2; stem `small` is a 3x3 convolution, for images of about 32
    pixels. `drop_path` is the rate of stochastic depth in the last block, rising from 0 linearly.
    """

    num_classes: int
    depths: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    block: str = 'basic'
    stem: str = 'large'
    stem_width: int = 64
    stride_first: bool = False
    first_stride: int = 1
    activation: str = 'relu'
    epsilon: float = 1e-5
    drop_path: float = 0.0

    @linen.compact
    def __call__(
        self,
        images: Float[Array, 'b h w c'],
        train: bool = False,
        keys: Key[Array, 'b'] | None = None,
        features: bool = False,
    ) -> Float[Array, 'b classes'] | tuple[Float[Array, 'b classes'], Float[Array, 'b d']]:
        large = choose(self.stem, ('large', 'small'), 'the stem of a ResNet') == 'large'
        kind = choose(self.block, ('basic', 'bottleneck'), 'the block of a ResNet')
        size, stride = (7, 2) if large else (3, 1)
        x = Conv(
            self.stem_width,
            (size, size),
            stride,
            padding=size // 2,
            use_bias=False,
            kernel_init=INIT,
            name='stem_conv',
        )(images)
        x = BatchNorm(epsilon=self.epsilon, name='stem_norm')(x, train)
        x = Activation(self.activation, name='stem_activation')(x)
        if large:
            x = linen.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage, i, width, drop_path in blocks(self.depths, self.widths, self.drop_path):
            x = Block(
                width,
                stride=1 if i > 0 else self.first_stride if stage == 0 else 2,
                bottleneck=kind == 'bottleneck',
                stride_first=self.stride_first,
                activation=self.activation,
                epsilon=self.epsilon,
                drop_path=drop_path,
                name=f'stage{stage}_block{i}',
            )(x, train, keys)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
        return head(x, self.num_classes, features)
