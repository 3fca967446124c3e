"""All pixels of a split as arrays: what batches of rays are drawn from."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Float32, Int, UInt8

from jaxcv.cameras import Camera
from jaxcv.data.captures.capture import Capture
from jaxcv.data.dataset import spread
from jaxcv.errors import choose


class Frames(NamedTuple):
    """n photographs; a pytree whose every leaf has the axis n first. Pictures stay in numpy until
    they are put on a device; those that a capture lacks are None."""

    cameras: Camera  # float32 leaves
    images: UInt8[np.ndarray, 'n h w c']
    masks: Bool[np.ndarray, 'n h w'] | None = None
    depths: Float32[np.ndarray, 'n h w'] | None = None
    times: Float[Array, 'n'] | None = None
    near: Float[Array, 'n'] | None = None
    far: Float[Array, 'n'] | None = None

    def when(self, which: Int[Array, '*b'] | int) -> Float[Array, '*b']:
        """The times of photographs; 0 where they have none."""
        return jnp.zeros(jnp.shape(which)) if self.times is None else self.times[which]


def frames(capture: Capture, split: str, count: int = 0) -> Frames:
    """The photographs of a split, decoded: all, or `count` of them, evenly spread."""
    index = np.asarray(capture.splits[choose(split, capture.splits, 'the split of a capture')])
    index = index[spread(len(index), count)]

    def chosen(leaf):
        return jnp.asarray(np.asarray(leaf)[index], jnp.float32)

    return Frames(
        cameras=jax.tree.map(chosen, capture.cameras),
        images=_stacked(capture.image, index),
        masks=None if capture.masks is None else _stacked(capture.mask, index),
        depths=None if capture.depths is None else _stacked(capture.depth, index),
        times=None if capture.times is None else chosen(capture.times),
        near=None if capture.near is None else chosen(capture.near),
        far=None if capture.far is None else chosen(capture.far),
    )


def _stacked(read, index):
    """[n ...], decoded by all cores into one array: twice the memory would be too much."""
    first = read(index[0])
    pictures = np.empty((len(index), *first.shape), first.dtype)
    pictures[0] = first

    def fill(slot):
        pictures[slot] = read(index[slot])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(1, len(index))))
    return pictures
