"""Environments made of other environments: each wrapper takes one and gives one.

An environment is a pure function, so a wrapper is function composition; what it has to remember
goes into the state.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Int, UInt8

from jaxcv.errors import UserError
from jaxcv.rl.envs.environment import Box, Environment

# Weights of red, green and blue in the brightness (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


class Counted(NamedTuple):
    """A state, and how many steps the episode is old."""

    inner: Any
    time: Int[Array, '']


class Stacked(NamedTuple):
    """A state, and the last observations, side by side."""

    inner: Any
    frames: Array


def time_limit(env: Environment, steps: int) -> Environment:
    """Truncates an episode after `steps` steps, unless it terminated then."""

    def reset(key, params):
        observation, state = env.reset(key, params)
        return observation, Counted(state, jnp.zeros((), jnp.int32))

    def step(key, state, action, params):
        result = env.step(key, state.inner, action, params)
        time = state.time + 1
        late = (time >= steps) & ~result.terminated
        return result._replace(state=Counted(result.state, time), truncated=result.truncated | late)

    return dataclasses.replace(env, reset=reset, step=step, render=inner_picture(env))


def frame_stack(env: Environment, count: int) -> Environment:
    """The last `count` observations along the last axis, oldest first; the first one of an
    episode fills the places of those before it."""
    space = box(env, 'frame_stack')
    width = space.shape[-1]

    def reset(key, params):
        observation, state = env.reset(key, params)
        frames = jnp.concatenate([observation] * count, -1)
        return frames, Stacked(state, frames)

    def step(key, state, action, params):
        result = env.step(key, state.inner, action, params)
        frames = jnp.concatenate([state.frames[..., width:], result.observation], -1)
        return result._replace(observation=frames, state=Stacked(result.state, frames))

    space = dataclasses.replace(space, shape=(*space.shape[:-1], count * width))
    return dataclasses.replace(
        env, observation=space, reset=reset, step=step, render=inner_picture(env)
    )


def pixels(env: Environment, size: int | tuple[int, int] | None = None) -> Environment:
    """The observation is the picture of the state, uint8 [h w 3], resized to `size`."""
    if env.render is None:
        raise UserError(f'{env.name} has no picture, so pixels cannot be its observation')

    def reset(key, params):
        _, state = env.reset(key, params)
        return env.render(state, params), state

    def step(key, state, action, params):
        result = env.step(key, state, action, params)
        return result._replace(observation=env.render(result.state, params))

    shown = jax.eval_shape(lambda key: reset(key, env.params)[0], jax.random.key(0))
    space = Box(shown.shape, 0, 255, np.uint8)
    picture = dataclasses.replace(env, observation=space, reset=reset, step=step)
    return resize(picture, size) if size else picture


def gray(env: Environment) -> Environment:
    """Brightness in place of colors: uint8 [h w 1]."""
    space = picture_space(env, 'gray')
    height, width, _ = space.shape

    def brightness(picture: UInt8[Array, 'h w 3']) -> UInt8[Array, 'h w 1']:
        return to_bytes(picture.astype(jnp.float32) @ jnp.array(LUMA)[:, None])

    return seen(env, dataclasses.replace(space, shape=(height, width, 1)), brightness)


def resize(env: Environment, size: int | tuple[int, int]) -> Environment:
    """Pixels brought to `size` by antialiased linear weights: one matrix for either side."""
    space = picture_space(env, 'resize')
    height, width = (size, size) if isinstance(size, int) else size
    if (height, width) == space.shape[:2]:
        return env
    down, across = weights(space.shape[0], height), weights(space.shape[1], width)

    def resized(picture: UInt8[Array, 'h w c']) -> UInt8[Array, 'H W c']:
        # Both products contract the last axis: what XLA's CPU backend has a fast path for.
        wide = jnp.moveaxis(picture, -1, 0).astype(jnp.float32) @ across.T
        return to_bytes(jnp.moveaxis(wide.swapaxes(1, 2) @ down.T, (0, 1, 2), (2, 1, 0)))

    return seen(env, dataclasses.replace(space, shape=(height, width, space.shape[2])), resized)


def scale_action(env: Environment) -> Environment:
    """Actions in [-1, 1], mapped to the bounds of the environment's own; others are clipped."""
    space = env.action
    if not isinstance(space, Box) or not np.isfinite([space.low, space.high]).all():
        raise UserError(f'scale_action needs bounded continuous actions; {env.name} has {space}')

    def step(key, state, action, params):
        share = (jnp.clip(action, -1, 1) + 1) / 2
        return env.step(key, state, space.low + share * (space.high - space.low), params)

    return dataclasses.replace(env, action=dataclasses.replace(space, low=-1, high=1), step=step)


def seen(env: Environment, space: Box, change) -> Environment:
    """`change` applied to every observation."""

    def reset(key, params):
        observation, state = env.reset(key, params)
        return change(observation), state

    def step(key, state, action, params):
        result = env.step(key, state, action, params)
        return result._replace(observation=change(result.observation))

    return dataclasses.replace(env, observation=space, reset=reset, step=step)


def weights(old: int, new: int) -> np.ndarray:
    """[new old]: triangles as wide as the coarser of the two grids, each row summing to 1."""
    scale = max(old / new, 1.0)
    centers = (np.arange(new) + 0.5) * old / new - 0.5
    triangle = np.maximum(1 - np.abs(np.arange(old) - centers[:, None]) / scale, 0)
    return (triangle / triangle.sum(1, keepdims=True)).astype(np.float32)


def to_bytes(picture):
    """Rounded to the nearest of 0..255."""
    return jnp.round(jnp.clip(picture, 0, 255)).astype(jnp.uint8)


def inner_picture(env):
    """The picture of a wrapped state."""
    return env.render and (lambda state, params: env.render(state.inner, params))


def box(env, wrapper) -> Box:
    """The space of observations, which must be arrays."""
    if not isinstance(env.observation, Box) or not env.observation.shape:
        raise UserError(f'{wrapper} needs arrays to observe; {env.name} has {env.observation}')
    return env.observation


def picture_space(env, wrapper) -> Box:
    """The space of observations, which must be pixels."""
    space = box(env, wrapper)
    if np.dtype(space.dtype) != np.uint8 or len(space.shape) != 3:
        raise UserError(
            f'{wrapper} needs pixels, uint8 [h w c]; {env.name} has {np.dtype(space.dtype)} '
            f'{list(space.shape)}: put the wrapper `pixels` before it'
        )
    return space
