"""Noise of batches, each sample's from its own key: the same in any batch and on any device."""

import jax
from jaxtyping import Array, Float, Key


def normal(keys: Key[Array, 'b'], shape: tuple[int, ...]) -> Float[Array, 'b *shape']:
    """Standard normal noise; a sample's depends on its key only."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
