"""A scene, and cameras that are learned along with it where they are not known well."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.cameras import Camera, uncertain
from jaxcv.radiance import renderers


@dataclass(frozen=True)
class Poses(uncertain.Poses):
    """How well cameras are known."""

    opening: int = 0  # steps over which the details of fields fade in (Lin et al. 2021)


class Learned(NamedTuple):
    """What (params, aux), the state of renderer and cameras together, stand for."""

    init: Callable[[Key[Array, '']], tuple[PyTree, PyTree]]
    scene: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]  # (params, aux) of the renderer
    stepped: Callable[[PyTree, PyTree], PyTree]  # (aux, aux of the renderer) -> aux
    cameras: Callable[[PyTree, PyTree], Camera]  # of the photographs
    # As in `cameras.uncertain`.
    placed: Callable[[PyTree, PyTree, Camera], tuple[Camera, dict[str, Float[Array, '']]]]


def learned(renderer: renderers.Renderer, cameras: Camera, how: Poses) -> Learned:
    """With the cameras [n] that the photographs are said to have."""
    posed = uncertain.uncertain(cameras, how)

    def init(key):
        params, aux = renderer.init(key)
        twists, wrong = posed.init(jax.random.fold_in(key, 1))
        return {'scene': params, **twists}, {'scene': aux, 'step': jnp.int32(0), **wrong}

    def scene(params, aux):
        own = params['scene']
        if how.opening:
            own = renderers.opened(renderer, own, jnp.minimum(aux['step'] / how.opening, 1.0))
        return own, aux['scene']

    def stepped(aux, own):
        return {**aux, 'scene': own, 'step': aux['step'] + 1}

    return Learned(init, scene, stepped, posed.found, posed.placed)
