"""What a camera sees of a scene, whatever the scene is made of."""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Float

from jaxcv.cameras.camera import Camera


class View(NamedTuple):
    """One picture; colors are not in front of any background."""

    color: Float[Array, 'h w 3']  # in [0, 1], times opacity
    opacity: Float[Array, 'h w']
    depth: Float[Array, 'h w']  # along the axis of the camera; of what is seen there, on average


@runtime_checkable
class Scene(Protocol):
    """What a run that has learned a scene exports."""

    cameras: Camera  # of the photographs it has learned from, as it has come to know them

    def look(self, camera: Camera) -> View: ...
