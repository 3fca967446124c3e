"""A learned scene from where it was not photographed for training: scores, pictures beside the
truth, and a film."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv import data
from jaxcv.cameras import Camera, orbit
from jaxcv.cameras.view import View
from jaxcv.data.captures import Frames
from jaxcv.metrics import view_scores
from jaxcv.radiance.volume import composite, over
from jaxcv.viz import Picture, Video, compared, to_uint8

SHOWN = 4  # views
RATE = 12  # pictures of a film in a second


@dataclass(frozen=True)
class Viewed:
    """`config.viewed`: what is judged and shown."""

    frames: int = 24  # of the film; 0: none
    judged: int = 0  # test views that are scored; 0: all


Look = Callable[[Camera, Float[Array, '']], View]  # of one camera, at a time
# (state, cameras of the world) -> what is seen, these cameras where they see the scene as it was
# learned, and metrics
Placed = Callable[[Any, Camera], tuple[Look, Camera, Mapping[str, Any]]]


def steady(background: str) -> Float[Array, '3']:
    """What is behind pictures, in which nothing is random."""
    return jnp.full(3, float(background != 'black'))


def pictured(seen: View, behind: Float[Array, '3']) -> Float[Array, 'h w 3']:
    """In [0, 1]."""
    return jnp.clip(over(seen.color, seen.opacity, behind), 0, 1)


def around(cameras: Camera, count: int) -> Camera:
    """A way around the origin, at the height of the first camera."""
    return orbit(cameras[0], jnp.zeros(3), -cameras.pose[:, 1, :3].mean(0), count)


def averaged(found: Sequence[Mapping[str, Array]]) -> dict[str, float]:
    return {name: float(np.mean([float(each[name]) for each in found])) for name in found[0]}


def evaluation(
    placed: Placed,
    frames: Frames,
    behind: Float[Array, '3'],
    judged: int = 0,
    classifier=None,
):
    """Means of scores (`metrics.view_scores`, of the layers of a classifier that a run needs) over
    the test views, or the first so many; how wrong depths are where the true ones are known."""
    count = judged or len(frames.images)
    scores = view_scores(classifier.maps if classifier else None)

    @jax.jit
    def judge(seen, pixels, depth):
        found = scores(pictured(seen, behind), composite(data.unit(pixels), behind))
        return found if depth is None else found | {'depth_error': depth_error(seen, depth)}

    def evaluate(state, key):
        look, cameras, metrics = placed(state, frames.cameras)
        depths = frames.depths if frames.depths is not None else [None] * count
        found = [
            judge(look(cameras[i], frames.when(i)), frames.images[i], depths[i])
            for i in range(count)
        ]
        return {**metrics, **averaged(found)}

    return evaluate


def depth_error(seen: View, truth: Float[Array, 'h w']) -> Float[Array, '']:
    """The mean distance from true depths, where there is a surface and one is seen."""
    there = (truth > 0) & (seen.surface > 0)
    return jnp.where(there, jnp.abs(seen.depth - truth), 0).sum() / jnp.maximum(there.sum(), 1)


def exhibition(placed: Placed, frames: Frames, behind: Float[Array, '3'], path: Camera | None):
    """Test views beside the truth, with depth and error; what is seen along a path, meanwhile time
    passes."""
    count = min(SHOWN, len(frames.images))
    truth = np.asarray(composite(data.unit(frames.images[:count]), behind))

    def show(state, key) -> Mapping[str, Picture | Video]:
        look, cameras, _ = placed(state, frames.cameras)
        seen = [look(cameras[i], frames.when(i)) for i in range(count)]
        color = np.stack([pictured(view, behind) for view in seen])
        media = {'views': compared(truth, color, np.stack([view.depth for view in seen]))}
        if path is not None:
            look, places, _ = placed(state, path)
            media['orbit'] = film(look, places, behind, 'Around the scene')
        return media

    return show


def film(look: Look, path: Camera, behind: Float[Array, '3'], caption: str) -> Video:
    """While time goes from 0 to 1."""
    times = jnp.linspace(0, 1, len(path))
    pictures = [pictured(look(*each), behind) for each in zip(path, times, strict=True)]
    return Video(to_uint8(np.stack(pictures)), RATE, caption)
