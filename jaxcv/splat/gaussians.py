"""A scene of Gaussians as it is trained and stored."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Gaussians(NamedTuple):
    """n Gaussians, unconstrained, in the parameters of 3DGS (Kerbl et al. 2023).

    means           centers in the world
    log_scales      logarithms of the standard deviations along the rotated axes
    rotations       quaternions (w, x, y, z) of any length but 0
    opacity_logits  opacities are their sigmoids
    sh              k = (degree + 1)² coefficients of spherical harmonics per color; a color is
                    1/2 + their sum
    """

    means: Float[Array, 'n 3']
    log_scales: Float[Array, 'n 3']
    rotations: Float[Array, 'n 4']
    opacity_logits: Float[Array, 'n']
    sh: Float[Array, 'n k 3']
