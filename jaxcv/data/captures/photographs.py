"""The photographs of a scene that a config names, in the box that fields know."""

from dataclasses import dataclass

import numpy as np
from jax import numpy as jnp
from jaxtyping import Float

from jaxcv.data.captures.capture import Capture, moved
from jaxcv.data.captures.frames import Frames, frames
from jaxcv.data.captures.read import read
from jaxcv.data.dataset import arrays, some
from jaxcv.data.tabletop import cameras, stored
from jaxcv.errors import UserError, choose

NAMES = ('capture', 'desk', 'moving_desk')
SIZES = (100, 128)  # of the desk's


@dataclass(frozen=True)
class Box:
    """The cube of the world that becomes [-1, 1]^3."""

    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    half: float = 1.0  # of its side
    downscale: int = 1  # 4 reads a capture's `images_4`

    @property
    def outward(self) -> Float[np.ndarray, '4 4']:
        """From [-1, 1]^3 into the world."""
        transform = np.diag([self.half] * 3 + [1.0])
        transform[:3, 3] = self.center
        return transform


def photographs(
    name: str, *, path: str = '', image_size: int = 0, count: int = 0, box: Box | None = None
) -> tuple[Frames, Frames]:
    """For training and for testing: of 'desk', 'moving_desk' (`data.tabletop.stored`), or of a
    'capture', what `captures.read` finds at `path`; `count` of each, evenly spread, or 0: all."""
    choose(name, NAMES, 'config.data.name')
    box = box or Box()
    if name == 'capture':
        if not path:
            raise UserError("data 'capture' needs data.path, the folder of the photographs")
        capture = boxed(path, box)
        return frames(capture, 'train', count), frames(capture, 'test', count)
    size = image_size or SIZES[0]
    if size not in SIZES[: 1 if name == 'moving_desk' else None]:
        raise UserError(f'image_size of {name!r} is {size}, but the desk is made at {SIZES}')
    scene = 'dynamic' if name == 'moving_desk' else str(size)
    return _desk(scene, 'train', count), _desk(scene, 'test', count)


def boxed(path: str, box: Box) -> Capture:
    """What `captures.read` finds at `path`, in the world of the box."""
    return moved(read(path, box.downscale), np.linalg.inv(box.outward))


def _desk(scene, split, count):
    found = arrays(some(stored(scene, split), count))
    return Frames(
        cameras(found), found['image'], depths=found['depth'], times=jnp.asarray(found['time'])
    )
