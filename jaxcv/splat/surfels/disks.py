"""What is drawn: disks with their scales and opacities as they are."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Surfels(NamedTuple):
    """n disks to draw.

    means      centers in the world
    rotations  quaternions (w, x, y, z) of any length: the disk lies along the first two axes, its
               normal is the third, towards either side
    scales     standard deviations along the first two axes, >= 0
    opacities  in [0, 1]
    colors     as those of `Splats`
    """

    means: Float[Array, 'n 3']
    rotations: Float[Array, 'n 4']
    scales: Float[Array, 'n 2']
    opacities: Float[Array, 'n']
    colors: Float[Array, 'n c'] | Float[Array, 'n k c']
