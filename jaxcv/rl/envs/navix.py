"""Grid worlds of Navix (Pignatelli et al., 2024; MiniGrid in JAX), seen as pixels.

    env = navix('Navix-Empty-8x8-v0')  # observation: uint8 [64 64 3]

Navix's own step resets itself, draws its observation in every branch and carries the picture of
the empty grid along; here its transition, reward and termination are called one by one, and the
picture is drawn once, from the state.
"""

import difflib
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Int, UInt8

from jaxcv.errors import UserError, choose
from jaxcv.rl.envs.environment import Box, Discrete, Environment, Step

FIELDS = ('max_steps', 'penality_coeff')  # spelled as Navix spells them
VIEWS = ('rgb', 'rgb_first_person', 'symbolic', 'symbolic_first_person')


class State(NamedTuple):
    """Navix's state, and how many steps the episode is old."""

    world: Any
    time: Int[Array, '']


def navix(name: str, observation: str = 'rgb', **fields) -> Environment:
    """The environment that Navix calls `name`, seen through one of VIEWS; `fields` are those of
    Navix's environment (`max_steps`, 100 unless given; `penality_coeff`)."""
    game = construct(name, fields)
    choose(observation, VIEWS, f'the observation of {name}')
    actions, limit, penalty = game.action_set, game.max_steps, game.penality_coeff
    see = viewer(observation)

    def reset(key, params):
        world = game.reset(key).state.replace(cache=None)
        return see(world), State(world, jnp.zeros((), jnp.int32))

    def step(key, state, action, params):
        world = game.transitions_fn(state.world, action, actions)
        time = state.time + 1
        terminated = game.termination_fn(state.world, action, world)
        reward = game.reward_fn(state.world, action, world)
        reward = reward - jnp.where(terminated, penalty * time / limit, 0)
        return Step(
            see(world),
            State(world, time),
            reward.astype(jnp.float32),
            terminated,
            (time >= limit) & ~terminated,
        )

    blank = jax.eval_shape(lambda key: reset(key, None)[0], jax.random.key(0))
    return Environment(
        name=name,
        observation=Box(blank.shape, 0, 255, blank.dtype),
        action=Discrete(len(actions)),
        params=None,
        reset=reset,
        step=step,
        render=lambda state, params: picture(state.world),
    )


def names() -> list[str]:
    """What `navix` can make."""
    return sorted(library().registry())


def library():
    """The package, or a sentence that says how to get it."""
    try:
        import navix as package
    except ImportError as error:
        raise UserError("navix is not installed: pip install -e '.[rl]'") from error
    return package


def construct(name, fields):
    """Navix's object; its own observation stays empty."""
    package = library()
    if name not in package.registry():  # they are too many for one line
        near = difflib.get_close_matches(name, names(), n=5, cutoff=0.3)
        raise UserError(
            f'the Navix environment is {name!r}, which does not exist; the nearest of '
            f'{len(names())} are {", ".join(near)}'
        )
    for field in fields:
        choose(field, FIELDS, f'a parameter of {name}')
    return package.make(name, observation_fn=package.observations.none, **fields)


def viewer(observation):
    """From Navix's state to the observation."""
    from navix import observations
    from navix.rendering.cache import RenderingCache

    if observation == 'rgb':
        return picture
    draw = getattr(observations, observation)
    if not observation.startswith('rgb'):
        return draw
    return lambda world: draw(world.replace(cache=RenderingCache.init(world.grid)))


def picture(world) -> UInt8[Array, '8*h 8*w 3']:
    """Every cell's tile, 8x8 pixels; the same as Navix's `rgb`, which unfolds a stack of tiles."""
    from navix.rendering.registry import SPRITES_REGISTRY

    (rows, columns), places = world.grid.shape, world.get_positions()
    floor, wall = (SPRITES_REGISTRY[name][None, :, None] for name in ('floor', 'wall'))
    tiles = jnp.where(world.grid[:, None, :, None, None] != 0, wall, floor)
    gone = (places < 0).any(1)  # what was picked up lies outside the grid
    row = jnp.where(gone, rows, places[:, 0])
    tiles = tiles.at[row, :, places[:, 1]].set(world.get_sprites(), mode='drop')
    return tiles.reshape(8 * rows, 8 * columns, 3)
