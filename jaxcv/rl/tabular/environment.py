"""An MDP behind the interface of all environments, so that any agent can act in it."""

from collections.abc import Callable

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, UInt8

from jaxcv.rl.envs.environment import Box, Discrete, Environment, Step
from jaxcv.rl.tabular import mdp as dynamics
from jaxcv.rl.tabular.gridworld import FLOOR, START, WALL, GridWorld
from jaxcv.rl.tabular.mdp import MDP

CELL = 24  # pixels
GROUND, STONE, LINE, AGENT = (245, 245, 245), (70, 70, 70), (215, 215, 215), (40, 80, 160)
GOAL, PIT, JUMP = (120, 190, 140), (215, 130, 120), (170, 185, 225)


def environment(
    mdp: MDP, limit: int, name: str = 'mdp', render: Callable | None = None
) -> Environment:
    """Observations are one-hot states [s]; episodes are truncated after `limit` steps."""

    def see(state):
        return jax.nn.one_hot(state, mdp.states)

    def reset(key, params):
        state = dynamics.begin(params, key)
        return see(state), (state, jnp.int32(0))

    def step(key, state, action, params):
        after, reward, terminated = dynamics.step(params, key, state[0], action)
        length = state[1] + 1
        truncated = (length >= limit) & ~terminated
        return Step(see(after), (after, length), reward, terminated, truncated)

    return Environment(
        name=name,
        observation=Box((mdp.states,), 0.0, 1.0),
        action=Discrete(mdp.actions),
        params=mdp,
        reset=reset,
        step=step,
        render=render,
    )


def of_world(world: GridWorld, limit: int, name: str = 'grid') -> Environment:
    """A grid world as an environment that can be looked at."""
    return environment(world.mdp, limit, name, painter(world))


def painter(world: GridWorld) -> Callable:
    """Draws the world with the agent in it."""
    background = jnp.asarray(scene(world))
    cells = jnp.asarray(world.cells)
    rows, columns = jnp.indices(background.shape[:2])

    def render(state, params) -> UInt8[Array, 'h w 3']:
        row, column = cells[state[0]] * CELL + (CELL - 1) / 2
        distance = jnp.hypot(rows - row, columns - column)
        cover = jnp.clip(0.32 * CELL - distance + 0.5, 0, 1)[..., None]
        mixed = background * (1 - cover) + jnp.array(AGENT, jnp.float32) * cover
        return jnp.round(mixed).astype(jnp.uint8)

    return render


def scene(world: GridWorld) -> UInt8[np.ndarray, 'h w 3']:
    """The world without anyone in it."""
    pixels = np.array([[color(world, mark) for mark in row] for row in world.rows], np.uint8)
    pixels = pixels.repeat(CELL, 0).repeat(CELL, 1)
    pixels[::CELL], pixels[:, ::CELL] = LINE, LINE
    return pixels


def color(world: GridWorld, mark: str) -> tuple[int, int, int]:
    """The color of a cell drawn as `mark`."""
    if mark in world.ends:
        return GOAL if world.ends[mark] == max(world.ends.values()) else PIT
    if mark in world.falls:
        return PIT
    return {FLOOR: GROUND, START: GROUND, WALL: STONE}.get(mark, JUMP)
