"""ConvNeXt V2 (Woo et al., 2023): depthwise 7x7 blocks with global response normalization."""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.nn import Activation, Conv, Dense, GlobalResponseNorm, LayerNorm, StochasticDepth
from jaxcv.recognition.head import head
from jaxcv.recognition.stages import blocks

SIZES = {
    'atto': {'depths': (2, 2, 6, 2), 'widths': (40, 80, 160, 320)},
    'femto': {'depths': (2, 2, 6, 2), 'widths': (48, 96, 192, 384)},
    'pico': {'depths': (2, 2, 6, 2), 'widths': (64, 128, 256, 512)},
    'nano': {'depths': (2, 2, 8, 2), 'widths': (80, 160, 320, 640)},
    'tiny': {'depths': (3, 3, 9, 3), 'widths': (96, 192, 384, 768)},
    'base': {'depths': (3, 3, 27, 3), 'widths': (128, 256, 512, 1024)},
    'large': {'depths': (3, 3, 27, 3), 'widths': (192, 384, 768, 1536)},
    'huge': {'depths': (3, 3, 27, 3), 'widths': (352, 704, 1408, 2816)},
}
INIT = linen.initializers.truncated_normal(0.02)


class Block(linen.Module):
    """x + linear(GRN(activation(linear(norm(depthwise(x))))))."""

    kernel: int = 7
    activation: str = 'gelu'
    epsilon: float = 1e-6
    drop_path: float = 0.0

    @linen.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], keys: Key[Array, 'b'] | None
    ) -> Float[Array, 'b h w c']:
        width = x.shape[-1]
        y = Conv(
            width,
            (self.kernel, self.kernel),
            padding=self.kernel // 2,
            groups=width,
            kernel_init=INIT,
            name='depthwise',
        )(x)
        y = LayerNorm(self.epsilon, name='norm')(y)
        y = Dense(4 * width, kernel_init=INIT, name='expand')(y)
        y = Activation(self.activation, name='activation')(y)
        y = GlobalResponseNorm(name='response_norm')(y)
        y = Dense(width, kernel_init=INIT, name='project')(y)
        return x + StochasticDepth(self.drop_path, name='drop')(y, keys)


class ConvNeXt(linen.Module):
    """Patches, stages of blocks with 2x2 downsampling between them, the mean over space, a head.

    `drop_path` is the rate of stochastic depth in the last block, rising from 0 linearly.
    `head_epsilon` belongs to the norm before the head.
    """

    num_classes: int
    depths: tuple[int, ...] = (2, 2, 6, 2)
    widths: tuple[int, ...] = (40, 80, 160, 320)
    patch: int = 4
    kernel: int = 7
    activation: str = 'gelu'
    epsilon: float = 1e-6
    head_epsilon: float = 1e-6
    drop_path: float = 0.0

    @linen.compact
    def __call__(
        self,
        images: Float[Array, 'b h w c'],
        train: bool = False,
        keys: Key[Array, 'b'] | None = None,
        features: bool = False,
    ) -> Float[Array, 'b classes'] | tuple[Float[Array, 'b classes'], Float[Array, 'b d']]:
        x = self.cut(self.widths[0], self.patch, 'stem_conv')(images)
        x = LayerNorm(self.epsilon, name='stem_norm')(x)
        for stage, i, width, drop_path in blocks(self.depths, self.widths, self.drop_path):
            if stage > 0 and i == 0:
                x = LayerNorm(self.epsilon, name=f'stage{stage}_norm')(x)
                x = self.cut(width, 2, f'stage{stage}_conv')(x)
            x = Block(
                self.kernel,
                self.activation,
                self.epsilon,
                drop_path,
                name=f'stage{stage}_block{i}',
            )(x, keys)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
        x = LayerNorm(self.head_epsilon, name='norm')(x)
        return head(x, self.num_classes, features, INIT)

    def cut(self, width, size, name):
        """Patches of `size` without overlap, each projected to `width` channels."""
        return Conv(width, (size, size), size, padding='VALID', kernel_init=INIT, name=name)
