"""Environments of gymnax (Lange, 2022) as pure environments: classic control, MinAtar, bsuite.

    env = gymnax('CartPole-v1', max_steps_in_episode=200)

They stand on gymnax's single step, not on the one that resets itself: what ends an episode in the
world and what cuts it off are told apart, and the observation that an action led to is the true
one. The time limit is the one in gymnax's parameters.
"""

import inspect

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.errors import UserError, choose
from jaxcv.rl.envs import pictures
from jaxcv.rl.envs.environment import Box, Discrete, Environment, Space, Step

# Fetches its images when it is made.
ABSENT = ('MNISTBandit-bsuite',)
# Where gymnax states bounds that its own observations leave.
BOUNDS = {'MemoryChain-bsuite': (-1.0, np.inf), 'GaussianBandit-misc': (-np.inf, np.inf)}


def gymnax(name: str, **fields) -> Environment:
    """The environment that gymnax calls `name`; `fields` replace those of its parameters
    (`max_steps_in_episode`, `memory_length`) or of its constructor (`use_minimal_action_set`)."""
    game, params = construct(name, fields)
    observation, action = game.observation_space(params), game.action_space(params)
    _, state = jax.eval_shape(game.reset_env, jax.random.key(0), params)
    kinds = state_types(game, state, action, params)
    see = view(observation)

    def reset(key, params):
        observation, state = game.reset_env(key, params)
        return see(observation), cast(state, kinds)

    def step(key, state, action, params):
        observation, state, reward, terminated, _ = game.step_env(key, state, action, params)
        terminated = jnp.asarray(terminated, bool)
        return Step(
            see(observation),
            cast(state, kinds),
            jnp.asarray(reward, jnp.float32),
            terminated,
            game.is_truncated(state, params) & ~terminated,
        )

    return Environment(
        name=name,
        observation=observed(name, observation),
        action=acted(action),
        params=params,
        reset=reset,
        step=step,
        render=pictures.painter(name, game),
    )


def names() -> list[str]:
    """What `gymnax` can make."""
    return [name for name in library().registered_envs if name not in ABSENT]


def library():
    """The package, or a sentence that says how to get it."""
    try:
        import gymnax as package
    except ImportError as error:
        raise UserError("gymnax is not installed: pip install -e '.[rl]'") from error
    return package


def construct(name, fields):
    """gymnax's object and its parameters, with some fields replaced."""
    choose(name, names(), 'the gymnax environment')
    game, params = library().make(name)
    arguments = set(inspect.signature(type(game)).parameters) - {'args', 'kwargs'}
    known = set(params.__dataclass_fields__)
    for field in fields:
        choose(field, known | arguments, f'a parameter of {name}')
    if arguments & set(fields):
        chosen = {field: fields[field] for field in arguments & set(fields)}
        game, params = library().make(name, **chosen)
    return game, params.replace(**{field: fields[field] for field in known & set(fields)})


def state_types(game, state, action, params):
    """The types that a state has before and after a step: a scan needs them to be equal."""
    blank = jax.ShapeDtypeStruct(action.shape, action.dtype)
    after = jax.eval_shape(game.step_env, jax.random.key(0), state, blank, params)[1]
    return jax.tree.map(lambda a, b: jnp.promote_types(a.dtype, b.dtype), state, after)


def cast(state, kinds):
    """The state in these types, none of them weak."""
    return jax.tree.map(lambda leaf, kind: jax.lax.convert_element_type(leaf, kind), state, kinds)


def view(theirs):
    """Their observation as float32; a number out of n becomes a one-hot vector."""
    if hasattr(theirs, 'n'):
        return lambda observation: jax.nn.one_hot(observation, theirs.n)
    return lambda observation: observation.astype(jnp.float32)


def observed(name, theirs) -> Space:
    """The space of observations."""
    if hasattr(theirs, 'n'):
        return Box((int(theirs.n),), 0.0, 1.0)
    return Box(tuple(theirs.shape), *BOUNDS.get(name, bounds(theirs)))


def acted(theirs) -> Space:
    """The space of actions."""
    if hasattr(theirs, 'n'):
        return Discrete(int(theirs.n))
    return Box(tuple(theirs.shape), *bounds(theirs))


def bounds(theirs) -> tuple[float, float]:
    """The widest bounds of any entry, infinite where float32 ends."""
    low, high, limit = np.min(theirs.low), np.max(theirs.high), np.finfo(np.float32).max
    low, high = np.float32(low), np.float32(high)
    return (float(low) if low > -limit else -np.inf, float(high) if high < limit else np.inf)
