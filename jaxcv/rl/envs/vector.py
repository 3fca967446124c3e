"""Many environments at once, each reset with a fresh key as soon as its episode ends.

Two kinds stand behind one record: pure environments (`vectorize`), and simulators on the host
(`jaxcv.rl.envs.host`), whose `send` returns at once, so that the device can go on with another
group of them before it asks to `receive`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PyTree, Shaped, UInt8

from jaxcv.rl.envs.environment import Environment, Space, State

Pending = PyTree[Array]

# The key of a step also gives the key of the reset that may follow: folding in a number that no
# split reaches is cheaper than splitting the key in every step.
RESET = 2**31 - 1


class Result(NamedTuple):
    """What the actions of n environments led to; every leaf leads with n."""

    observation: Array  # to act on next: of a new episode where the last one ended
    state: State
    reward: Float[Array, 'n']
    terminated: Bool[Array, 'n']
    truncated: Bool[Array, 'n']
    final: Array  # the observation that the action led to, before any reset


@dataclass(frozen=True, kw_only=True)
class Environments:
    """As many environments as there are keys; leaves of states lead with their number."""

    name: str
    observation: Space
    action: Space
    reset: Callable[[Key[Array, 'n']], tuple[Array, State]]
    send: Callable[[Key[Array, 'n'], State, Array], Pending]
    receive: Callable[[Pending], Result]
    groups: int = 1  # how many groups the caller should keep in flight
    # (pending, tree) -> the tree, but no sooner than the pending actions have been sent.
    after: Callable[[Pending, PyTree], PyTree] = lambda pending, tree: tree
    render: Callable[[State], UInt8[Array, 'n h w 3']] | None = None

    def step(self, keys: Key[Array, 'n'], state: State, action: Array) -> Result:
        """Sends the actions and waits for what they led to."""
        return self.receive(self.send(keys, state, action))


def vectorize(env: Environment) -> Environments:
    """`env`, as many times as there are keys, with automatic reset."""

    def reset(keys):
        return jax.vmap(env.reset, (0, None))(keys, env.params)

    def send(keys, state, action):
        step = jax.vmap(env.step, (0, 0, 0, None))(keys, state, action, env.params)
        done = step.terminated | step.truncated
        reached = (step.observation, step.state)

        def renewed():
            fresh = reset(jax.vmap(lambda key: jax.random.fold_in(key, RESET))(keys))
            return jax.tree.map(lambda new, old: where(done, new, old), fresh, reached)

        # Drawing first states costs as much as a step, and fusing it into the choice costs more.
        observation, state = jax.lax.cond(done.any(), renewed, lambda: reached)
        return Result(
            observation, state, step.reward, step.terminated, step.truncated, step.observation
        )

    render = jax.vmap(lambda state: env.render(state, env.params)) if env.render else None
    return Environments(
        name=env.name,
        observation=env.observation,
        action=env.action,
        reset=reset,
        send=send,
        receive=lambda pending: pending,
        render=render,
    )


def where(done: Bool[Array, 'n'], new: Shaped[Array, 'n ...'], old: Shaped[Array, 'n ...']):
    """`new` in the rows that are done, `old` in the others."""
    return jnp.where(done.reshape(done.shape + (1,) * (new.ndim - 1)), new, old)
