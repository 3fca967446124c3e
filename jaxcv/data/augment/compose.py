"""Several augmentations as one."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Key

Augmentation = Callable[[Float[Array, 'b h w c'], Key[Array, 'b']], Float[Array, 'b h w c']]


def compose(*augmentations: Augmentation) -> Augmentation:
    """Applies them in order, each with its own keys: `compose(flip, partial(crop, padding=4))`."""

    def apply(images, keys):
        for i, augment in enumerate(augmentations):
            images = augment(images, jax.vmap(jax.random.fold_in, (0, None))(keys, i))
        return images

    return apply
