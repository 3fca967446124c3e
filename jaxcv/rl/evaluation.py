"""How good a policy is: whole episodes in environments of its own."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt8

from jaxcv.ops import across
from jaxcv.rl.envs.vector import Environments

# (observation [n ...], start [n], carry, keys [n]) -> (action as executed [n ...], carry)
Act = Callable[[Array, Bool[Array, 'n'], PyTree, Key[Array, 'n']], tuple[Array, PyTree]]


class Episodes(NamedTuple):
    """The first episode of each of n environments."""

    returns: Float[Array, 'n']
    lengths: Int[Array, 'n']
    ended: Bool[Array, 'n']  # False where `limit` came first


def episodes(
    envs: Environments, act: Act, carry: PyTree[Array], keys: Key[Array, 'n'], limit: int
) -> Episodes:
    """Plays one episode in every environment, at most `limit` steps. Each depends on its key
    alone, so that their number and the devices change nothing."""
    n = len(keys)
    keys = across.split(keys)
    observation, state = envs.reset(jax.vmap(lambda key: jax.random.fold_in(key, limit))(keys))
    none = Episodes(jnp.zeros(n), jnp.zeros(n, jnp.int32), jnp.zeros(n, bool))

    def playing(now):
        step, *_, played = now
        return (step < limit) & ~played.ended.all()

    def tick(now):
        step, observation, state, start, carry, played = now
        both = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, step)))(keys)
        action, carry = act(observation, start, carry, both[:, 0])
        result = envs.step(both[:, 1], state, action)
        done = result.terminated | result.truncated
        played = Episodes(
            played.returns + jnp.where(played.ended, 0.0, result.reward),
            played.lengths + ~played.ended,
            played.ended | done,
        )
        return step + 1, result.observation, result.state, done, carry, played

    first = jnp.int32(0), observation, state, jnp.ones(n, bool), carry, none
    return across.whole(jax.lax.while_loop(playing, tick, first)[-1])


def film(
    envs: Environments, act: Act, carry: PyTree[Array], keys: Key[Array, 'n'], steps: int
) -> tuple[UInt8[Array, 't n h w 3'], Bool[Array, 't n']]:
    """What n environments look like for `steps` steps, and whether their first episode runs."""
    n = len(keys)
    observation, state = envs.reset(jax.vmap(lambda key: jax.random.fold_in(key, steps))(keys))

    def tick(now, step):
        observation, state, start, carry, ended = now
        both = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, step)))(keys)
        frame = envs.render(state)
        action, carry = act(observation, start, carry, both[:, 0])
        result = envs.step(both[:, 1], state, action)
        done = result.terminated | result.truncated
        return (result.observation, result.state, done, carry, ended | done), (frame, ~ended)

    first = observation, state, jnp.ones(n, bool), carry, jnp.zeros(n, bool)
    return jax.lax.scan(tick, first, jnp.arange(steps))[1]


def scores(played: Episodes) -> dict[str, Float[Array, '']]:
    """What one reports of an evaluation."""
    returns, lengths = played.returns, played.lengths.astype(jnp.float32)
    return {
        'episode_return': returns.mean(),
        'worst_return': returns.min(),
        'return_deviation': returns.std(),
        'episode_length': lengths.mean(),
    }
