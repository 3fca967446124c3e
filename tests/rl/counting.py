"""An environment whose every number is known: it counts its steps from a random beginning."""

import jax
from jax import numpy as jnp

from jaxcv.rl.envs.environment import Box, Discrete, Environment, Step

LIMIT = 5


def counting(chance=0.1) -> Environment:
    """Observes (steps so far, where it began). Terminates by chance, truncates after LIMIT."""

    def reset(key, params):
        state = jnp.stack([0.0, jax.random.uniform(key)])
        return state, state

    def step(key, state, action, params):
        state = state.at[0].add(1.0)
        terminated = jax.random.bernoulli(key, params)
        truncated = (state[0] >= LIMIT) & ~terminated
        return Step(state, state, 1.0 + action, terminated, truncated)

    return Environment(
        name='counting',
        observation=Box((2,)),
        action=Discrete(2),
        params=chance,
        reset=reset,
        step=step,
        render=lambda state, params: jnp.full((4, 6, 3), 20 * state[0], jnp.uint8),
    )
