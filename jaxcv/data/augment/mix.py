"""Mixup: training on blends of two samples."""

import jax
from jaxtyping import Array, Float, Key

from jaxcv.errors import UserError


def mixup(
    images: Float[Array, 'b h w c'],
    labels: Float[Array, 'b k'],
    keys: Key[Array, 'b'],
    alpha: float = 0.2,
) -> tuple[Float[Array, 'b h w c'], Float[Array, 'b k']]:
    """x' = l x + (1 - l) x_partner and the same for one-hot (or soft) labels, with
    l ~ Beta(alpha, alpha) drawn for each sample (Zhang et al., 2018). Any range.

    Partners are the slots 2i and 2i + 1 of the batch, which is shuffled anyway. A device's shard
    must hold an even number of samples; then no pair straddles two devices, and every layout
    blends the same.
    """
    if len(images) % 2:
        raise UserError(f'mixup needs an even number of samples on each device, got {len(images)}')
    share = jax.vmap(lambda key: jax.random.beta(key, alpha, alpha, (), images.dtype))(keys)

    def blend(x):
        swapped = x.reshape(-1, 2, *x.shape[1:])[:, ::-1].reshape(x.shape)
        weight = share.reshape(-1, *[1] * (x.ndim - 1))
        return weight * x + (1 - weight) * swapped

    return blend(images), blend(labels)
