"""What a camera sees of a scene, whatever the scene is made of."""

from typing import NamedTuple, Protocol, runtime_checkable

from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera

SOLID = 0.5  # opacity from which on there is a surface


class View(NamedTuple):
    """One picture; colors are not in front of any background."""

    color: Float[Array, 'h w 3']  # in [0, 1], times opacity
    opacity: Float[Array, 'h w']
    depth: Float[Array, 'h w']  # along the axis of the camera; of what is seen there, on average

    @property
    def surface(self) -> Float[Array, 'h w']:
        """The depth, 0 where what is seen is not half opaque."""
        return jnp.where(self.opacity > SOLID, self.depth, 0)


@runtime_checkable
class Scene(Protocol):
    """What a run that has learned a scene exports."""

    cameras: Camera  # of the photographs it has learned from, as it has come to know them

    def look(self, camera: Camera) -> View: ...
