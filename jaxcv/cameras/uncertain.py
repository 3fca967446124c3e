"""Cameras that are not known well, and may be learned along with the scene that they see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.cameras.camera import Camera, refined
from jaxcv.cameras.rotations import normalized
from jaxcv.cameras.similarity import apart, centers, moved, similarity

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Poses:
    """How well cameras are known."""

    refine: bool = False  # they are learned
    rate: float = 0.1  # at which, in units of the learning rate
    # For experiments: all are turned by so many degrees, and moved by so much of their distance.
    wrong: tuple[float, float] = (0.0, 0.0)


class Uncertain(NamedTuple):
    """What (params, aux) stand for, of which both are empty where cameras are known. There may be
    more in them than is said here."""

    init: Callable[[Key[Array, '']], tuple[Arrays, Arrays]]
    found: Callable[[Arrays, Arrays], Camera]  # of the photographs
    # (params, aux, other cameras of the world) -> these where they see the scene as it was learned
    placed: Callable[[Arrays, Arrays, Camera], tuple[Camera, dict[str, Float[Array, '']]]]


def uncertain(cameras: Camera, how: Poses) -> Uncertain:
    """With the cameras [n] that the photographs are said to have.

    Learned cameras may drift as a whole, unseen by any photograph, so others follow the similarity
    between the worlds that given and learned ones see. The metrics are means of how far each of the
    learned ones then is from its place (degrees, distance).
    """
    known = not (how.refine or any(how.wrong))

    def init(key):
        params = {'twists': jnp.zeros((len(cameras), 6))} if how.refine else {}
        if known:
            return params, {}
        keys = jax.random.split(key, len(cameras))
        return params, {'wrong': errors(cameras, np.deg2rad(how.wrong[0]), how.wrong[1], keys)}

    def found(params, aux):
        if known:
            return cameras
        return refined(cameras, aux['wrong'] + how.rate * params.get('twists', 0.0))

    @jax.jit
    def placed(params, aux, others):
        if known:
            return others, {}
        now = found(params, aux)
        by = similarity(cameras, now)
        angle, distance = apart(moved(cameras, by), now)
        metrics = {'cameras_turned': jnp.rad2deg(angle).mean(), 'cameras_moved': distance.mean()}
        return moved(others, by), metrics

    return Uncertain(init, found, placed)


def errors(
    cameras: Camera, angle: float, share: float, keys: Key[Array, 'n']
) -> Float[Array, 'n 6']:
    """A twist per camera (`cameras.refined`) that turns it by `angle` (radians) about any axis, and
    moves it anywhere by `share` of its distance from the origin."""
    draw = jax.vmap(lambda key: jax.random.normal(key, (2, 3)))(keys)
    turn, way = normalized(draw[:, 0]), normalized(draw[:, 1])
    reach = jnp.linalg.norm(centers(cameras), axis=-1, keepdims=True)
    return jnp.concatenate([angle * turn, share * reach * way], axis=-1)
