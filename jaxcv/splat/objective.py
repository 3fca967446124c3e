"""What is minimized beside the difference from photographs: a sum of parts with weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Array, Bool, Float

from jaxcv.errors import UserError
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.losses import mean_opacity, mean_scale

PLANES = ('variation', 'smoothness', 'sparsity')


@dataclass(frozen=True)
class Objective:
    """`config.objective`: the weights of what is minimized."""

    similarity: float = 0.2
    opacity: float = 0.0
    scale: float = 0.0
    background: str = 'white'  # or 'black', or 'random': behind transparent photographs
    # Of the planes of a scene that moves (`radiance.fields.planes`).
    variation: float = 0.0
    smoothness: float = 0.0
    sparsity: float = 0.0
    appearance: float = 0.01  # of the size of what photographs do to colors, where that is learned


def weighted(
    objective: Objective,
    gaussians: Gaussians,
    alive: Bool[Array, 'n'],
    penalties: Mapping[str, Float[Array, '']],
) -> Float[Array, '']:
    """The sum of all but the difference from photographs."""
    for name in PLANES:
        if getattr(objective, name) and name not in penalties:
            raise UserError(
                f'config.objective.{name} is {getattr(objective, name)}, but this scene has no '
                "planes: set it to 0, or config.motion.name to 'planes'"
            )
    value = objective.opacity * mean_opacity(gaussians, alive)
    value += objective.scale * mean_scale(gaussians, alive)
    return value + sum(getattr(objective, name) * each for name, each in penalties.items())
