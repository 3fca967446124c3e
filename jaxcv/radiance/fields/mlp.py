"""The small networks of fields."""

from flax import linen
from jaxtyping import Array, Float

from jaxcv.nn import Dense


class MLP(linen.Module):
    """Hidden layers of the given widths with ReLU, then a linear one."""

    widths: tuple[int, ...]
    features: int

    @linen.compact
    def __call__(self, x: Float[Array, 'n c']) -> Float[Array, 'n features']:
        for i, width in enumerate(self.widths):
            kernel_init = linen.initializers.he_normal()
            x = linen.relu(Dense(width, kernel_init=kernel_init, name=f'hidden{i}')(x))
        return Dense(self.features, name='out')(x)
