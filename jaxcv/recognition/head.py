"""How every model ends."""

from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.nn.dense import Dense

DEFAULT = linen.initializers.lecun_normal()


def head(
    x: Float[Array, 'b d'],
    num_classes: int,
    features: bool = False,
    kernel_init: linen.initializers.Initializer = DEFAULT,
) -> Float[Array, 'b classes'] | tuple[Float[Array, 'b classes'], Float[Array, 'b d']]:
    """The linear layer `head` of the calling module: logits, float32 in any precision; with
    `features` also x, what that layer sees."""
    logits = Dense(num_classes, kernel_init=kernel_init, name='head')(x)
    logits = logits.astype(jnp.float32)
    return (logits, x.astype(jnp.float32)) if features else logits
