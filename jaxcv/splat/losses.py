"""What Gaussians are trained to minimize."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.metrics import ssim
from jaxcv.splat.gaussians import Gaussians


def photometric(
    color: Float[Array, 'b h w 3'],
    truth: Float[Array, 'b h w 3'],
    similarity: float = 0.2,
    masks: Bool[Array, 'b h w'] | None = None,
) -> Float[Array, 'b']:
    """(1 - similarity) L1 + similarity (1 - SSIM) of each image (Kerbl et al. 2023, eq. 7). Where
    a mask is False both are black."""
    if masks is not None:
        color, truth = (jnp.where(masks[..., None], x, 0) for x in (color, truth))
    loss = jnp.abs(color - truth).mean((1, 2, 3))
    if not similarity:
        return loss
    return (1 - similarity) * loss + similarity * (1 - ssim(color, truth))


def mean_opacity(gaussians: Gaussians, alive: Bool[Array, 'n']) -> Float[Array, '']:
    """Of those alive: a penalty of it lets useless Gaussians vanish (Kheradmand et al. 2024)."""
    return _mean(jax.nn.sigmoid(gaussians.opacity_logits), alive)


def mean_scale(gaussians: Gaussians, alive: Bool[Array, 'n']) -> Float[Array, '']:
    """Of those alive, the standard deviations along the axes, which are the roots of the
    eigenvalues of their covariances (Kheradmand et al. 2024)."""
    return _mean(jnp.exp(gaussians.log_scales).mean(-1), alive)


def penalties(gaussians: Gaussians, alive: Bool[Array, 'n']) -> dict[str, Float[Array, '']]:
    """What is to be kept small, by name."""
    return {'opacity': mean_opacity(gaussians, alive), 'scale': mean_scale(gaussians, alive)}


def limited(harmonics: Float[Array, 'n k 3'], degree: int | Int[Array, '']) -> Array:
    """Spherical harmonics up to `degree`, which need not be static; the others are 0 and have no
    gradient."""
    places = jnp.arange(harmonics.shape[1])
    return jnp.where((places < (degree + 1) ** 2)[:, None], harmonics, 0)


def _mean(values, alive):
    # Inside, too: what is not alive may hold anything.
    return jnp.where(alive, values, 0).sum() / jnp.maximum(alive.sum(), 1)
