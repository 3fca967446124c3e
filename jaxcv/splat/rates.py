"""How fast each kind of parameter learns: Adam's steps times these rates (3DGS)."""

from dataclasses import dataclass

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.splat.gaussians import Gaussians


@dataclass(frozen=True)
class Rates:
    """Sizes of steps; those of 3DGS (Kerbl et al. 2023) by default."""

    means: float = 1.6e-4  # in extents of the scene
    means_end: float = 0.01  # the factor that this has fallen to in the end, exponentially
    log_scales: float = 5e-3
    rotations: float = 1e-3
    opacity_logits: float = 5e-2
    color: float = 2.5e-3  # harmonics of degree 0
    harmonics: float = 1.25e-4  # the others
    # Of scenes that move (`deformation`).
    planes: float = 1e-2
    network: float = 1e-3
    appearance: float = 0.0  # of each photograph's own change of colors; 0: there is none


def at(rates: Rates, progress: Float[Array, ''], extent: float, coefficients: int) -> Gaussians:
    """The rate of every parameter, broadcastable to it, when `progress` (0 to 1) of the steps is
    done, in a scene of this extent with so many harmonics."""
    decay = jnp.float32(rates.means_end) ** progress
    harmonics = jnp.where(jnp.arange(coefficients) == 0, rates.color, rates.harmonics)
    return Gaussians(
        means=rates.means * extent * decay,
        log_scales=jnp.float32(rates.log_scales),
        rotations=jnp.float32(rates.rotations),
        opacity_logits=jnp.float32(rates.opacity_logits),
        sh=harmonics[:, None],
    )


def extent(eyes: Float[Array, 'n 3']) -> Float[Array, '']:
    """Of a scene seen from these places, as in 3DGS: 1.1 times the largest distance of one of them
    from their mean."""
    return 1.1 * jnp.linalg.norm(eyes - eyes.mean(0), axis=-1).max()
