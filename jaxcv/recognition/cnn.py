"""A small convolutional network for small images."""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.nn import Activation, BatchNorm, Conv, Dropout
from jaxcv.recognition.head import head


class CNN(linen.Module):
    """Stages of 3x3 convolutions with batch norm; each stage after the first halves the image.

    `widths` are the channels of the stages and `depth` their convolutions. The last maps are
    averaged over space.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64)
    depth: int = 2
    activation: str = 'relu'
    dropout: float = 0.0

    @linen.compact
    def __call__(
        self,
        images: Float[Array, 'b h w c'],
        train: bool = False,
        keys: Key[Array, 'b'] | None = None,
        features: bool = False,
    ) -> Float[Array, 'b classes'] | tuple[Float[Array, 'b classes'], Float[Array, 'b d']]:
        x = images
        for stage, width in enumerate(self.widths):
            for layer in range(self.depth):
                name = f'stage{stage}_{layer}'
                strides = 2 if stage > 0 and layer == 0 else 1
                # Batch norm removes what a bias would add.
                x = Conv(width, (3, 3), strides, use_bias=False, name=f'{name}_conv')(x)
                x = BatchNorm(name=f'{name}_norm')(x, train)
                x = Activation(self.activation, name=f'{name}_activation')(x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)
        x = Dropout(self.dropout, name='dropout')(x, keys)
        return head(x, self.num_classes, features)
