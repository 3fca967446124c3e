"""What is minimized when Gaussians are learned from photographs: a sum of parts with weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    similarity: float = 0.2  # share of structural similarity in the difference from photographs
    opacity: float = 0.0
    scale: float = 0.0
    normals: float = 0.0  # of how far surfels lie from the surface that their depths make
    background: str = 'white'  # or 'black', or 'random': behind transparent photographs
    # Of the planes of a scene that moves (`radiance.fields.planes`).
    variation: float = 0.0
    smoothness: float = 0.0
    sparsity: float = 0.0
    appearance: float = 0.01  # of the size of what photographs do to colors, where that is learned
