"""A multilayer perceptron on pixels."""

from flax import linen
from jaxtyping import Array, Float, Key

from jaxcv.nn import Activation, Dense, Dropout
from jaxcv.recognition.head import head


class MLP(linen.Module):
    """Flattened pixels through hidden layers of the given widths."""

    num_classes: int
    widths: tuple[int, ...] = (256, 256)
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
        x = images.reshape(len(images), -1)
        for i, width in enumerate(self.widths):
            x = Dense(width, kernel_init=linen.initializers.he_normal(), name=f'hidden{i}')(x)
            x = Activation(self.activation, name=f'activation{i}')(x)
            x = Dropout(self.dropout, name=f'dropout{i}')(x, keys)
        return head(x, self.num_classes, features)
