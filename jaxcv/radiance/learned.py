"""A scene, and cameras that are learned along with it where they are not known well."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.cameras import Camera, refined
from jaxcv.radiance import poses, renderers


@dataclass(frozen=True)
class Poses:
    """How well cameras are known."""

    refine: bool = False  # they are learned
    rate: float = 0.1  # at which, in units of the learning rate
    opening: int = 0  # steps over which the details of fields fade in (Lin et al. 2021)
    # For experiments: all are turned by so many degrees, and moved by so much of their distance.
    wrong: tuple[float, float] = (0.0, 0.0)


class Learned(NamedTuple):
    """What (params, aux), the state of renderer and cameras together, stand for."""

    init: Callable[[Key[Array, '']], tuple[PyTree, PyTree]]
    scene: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]  # (params, aux) of the renderer
    stepped: Callable[[PyTree, PyTree], PyTree]  # (aux, aux of the renderer) -> aux
    cameras: Callable[[PyTree, PyTree], Camera]  # of the photographs
    # (params, aux, other cameras of the world) -> these where they see the scene as it was learned
    placed: Callable[[PyTree, PyTree, Camera], tuple[Camera, dict[str, Float[Array, '']]]]


def learned(renderer: renderers.Renderer, cameras: Camera, how: Poses) -> Learned:
    """With the cameras [n] that the photographs are said to have.

    Learned cameras may drift as a whole, unseen by any photograph, so others follow the similarity
    between the worlds that given and learned ones see. The metrics are means of how far each of the
    learned ones then is from its place (degrees, distance).
    """
    uncertain = how.refine or any(how.wrong)

    def init(key):
        params, aux = renderer.init(key)
        params, aux = {'scene': params}, {'scene': aux, 'step': jnp.int32(0)}
        if how.refine:
            params['twists'] = jnp.zeros((len(cameras), 6))
        if uncertain:
            keys = jax.random.split(jax.random.fold_in(key, 1), len(cameras))
            aux['wrong'] = poses.errors(cameras, np.deg2rad(how.wrong[0]), how.wrong[1], keys)
        return params, aux

    def scene(params, aux):
        own = params['scene']
        if how.opening:
            own = renderers.opened(renderer, own, jnp.minimum(aux['step'] / how.opening, 1.0))
        return own, aux['scene']

    def stepped(aux, own):
        return {**aux, 'scene': own, 'step': aux['step'] + 1}

    def found(params, aux):
        if not uncertain:
            return cameras
        return refined(cameras, aux['wrong'] + how.rate * params.get('twists', 0.0))

    @jax.jit
    def placed(params, aux, others):
        if not uncertain:
            return others, {}
        now = found(params, aux)
        by = poses.similarity(cameras, now)
        angle, distance = poses.apart(poses.moved(cameras, by), now)
        metrics = {'cameras_turned': jnp.rad2deg(angle).mean(), 'cameras_moved': distance.mean()}
        return poses.moved(others, by), metrics

    return Learned(init, scene, stepped, found, placed)
