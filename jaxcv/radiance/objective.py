"""What is minimized when a scene is learned from photographs: a sum of parts with weights."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float

from jaxcv.errors import UserError, choose
from jaxcv.radiance import losses

PHOTOMETRIC = {'squared': losses.squared, 'huber': losses.huber, 'charbonnier': losses.charbonnier}


@dataclass(frozen=True)
class Objective:
    """`config.objective`."""

    color: str = 'squared'
    background: str = 'white'  # or 'black', or 'random'
    coarse: float = 1.0  # of the color of earlier rounds
    interlevel: float = 1.0
    distortion: float = 0.0
    # Of the grids of fields that have any (`Field.penalties`).
    variation: float = 0.0
    color_variation: float = 0.0
    smoothness: float = 0.0
    sparsity: float = 0.0
    # For few photographs.
    depth: float = 0.0  # of its distance from depths that come with the photographs
    patches: float = 0.0  # of its roughness where no photograph was taken from

    def __post_init__(self):
        choose(self.color, PHOTOMETRIC, 'config.objective.color')


def weighted(objective: Any, penalties: Mapping[str, Float[Array, '']]) -> Float[Array, ''] | float:
    """Their sum, by the fields of `config.objective` of the same names. What weighs nothing is not
    computed, and not asked for where it is not there."""
    for each in dataclasses.fields(objective):
        weight = getattr(objective, each.name)
        # What weighs nothing until a config asks for it.
        if each.default == 0 and weight and each.name not in penalties:
            raise UserError(
                f'config.objective.{each.name} is {weight}, but of what this config learns there '
                f'is only {", ".join(penalties) or "nothing"} to weigh: set it to 0'
            )
    weights = {name: getattr(objective, name) for name in penalties}
    return sum(weight * penalties[name] for name, weight in weights.items() if weight)
