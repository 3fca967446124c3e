"""Experience kept on the device: one ring for each environment.

A ring holds an environment's steps in their order, so the observation that follows a step is
simply the next row: every observation is stored once, and returns over several steps need no room
of their own. Where an episode was truncated, a row of its own holds the last observation, from
which targets bootstrap; nothing started there, and `sample` gives it weight 0. Where an episode
terminated no target looks ahead, and the next row is already another episode's.

Every leaf leads with the environments, which devices divide among themselves. Environments draw
their own samples, equally many each, with keys of their own: any number of devices learns from
the same minibatches, and no row ever leaves its device.
"""

from typing import NamedTuple

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


class Rows(NamedTuple):
    """What is stored of every step."""

    observation: Array
    action: Array
    reward: Float[Array, '...']
    terminated: Bool[Array, '...']
    ended: Bool[Array, '...']  # terminated or truncated
    acted: Bool[Array, '...']  # False: an observation that only follows


@struct.dataclass
class Replay:
    """n rings of t rows; row number k of an environment lies in slot k % t."""

    rows: Rows  # [n t ...]
    written: Int[Array, 'n']  # rows so far; the number of the next


class Transition(NamedTuple):
    """One step of n environments."""

    observation: Array  # [n ...]
    action: Array
    reward: Float[Array, 'n']
    terminated: Bool[Array, 'n']
    truncated: Bool[Array, 'n']
    final: Array  # the observation that the action led to, before any reset


class Sample(NamedTuple):
    """Steps to learn from: the target is reward + discount * value(following)."""

    observation: Array  # [b ...]
    action: Array
    reward: Float[Array, 'b']  # sum of the discounted rewards that are looked at
    discount: Float[Array, 'b']  # of what follows; 0 after a termination
    following: Array  # [b ...]
    weight: Float[Array, 'b']  # 0: no step


def create(
    observation: jax.ShapeDtypeStruct, action: jax.ShapeDtypeStruct, n: int, capacity: int
) -> Replay:
    """Room for `capacity` steps, rounded up to equally many of each of n environments; they keep
    the types of these examples of one environment."""
    t = -(-capacity // n) + 1  # a row for the observation behind the newest step

    def room(shape, dtype):
        return jnp.zeros((n, t, *shape), dtype)

    rows = Rows(
        observation=room(observation.shape, observation.dtype),
        action=room(action.shape, action.dtype),
        reward=room((), jnp.float32),
        terminated=room((), bool),
        ended=room((), bool),
        acted=room((), bool),
    )
    return Replay(rows, jnp.zeros(n, jnp.int32))


def add(replay: Replay, new: Transition) -> Replay:
    """Takes the next step of every environment; the oldest rows give way."""
    length = replay.rows.acted.shape[1]
    here, behind = replay.written % length, (replay.written + 1) % length
    rows = Rows(
        observation=new.observation,
        action=new.action,
        reward=new.reward,
        terminated=new.terminated,
        ended=new.terminated | new.truncated,
        acted=jnp.ones_like(new.terminated),
    )
    rows = jax.tree.map(lambda ring, row: _put(ring, here, row), replay.rows, rows)
    # The next step overwrites this row, unless the episode was truncated.
    rows = rows._replace(
        observation=_put(rows.observation, behind, new.final),
        acted=_put(rows.acted, behind, jnp.zeros_like(new.terminated)),
    )
    return Replay(rows, replay.written + 1 + new.truncated)


def sample(
    replay: Replay,
    keys: Key[Array, 'n'],
    each: int,
    discount: Float[Array, ''] | float,
    lookahead: int = 1,
) -> Sample:
    """`each` steps of every environment, uniformly with replacement, with their returns over
    `lookahead` steps or to the end of the episode; [n * each ...], environment by environment.

        reward = sum_{k < m} discount^k r_k,  discount = discount^m (0 after a termination)

    with m the steps that are looked at. The newest lookahead - 1 steps wait for theirs.
    """
    length = replay.rows.acted.shape[1]
    held = jnp.minimum(replay.written, length - 1)
    choices = jnp.maximum(held - lookahead + 1, 1)
    back = jax.vmap(lambda key, most: jax.random.randint(key, (each,), 0, most))(keys, choices)
    first = replay.written[:, None] - lookahead - back

    def at(ring, number):
        return jax.vmap(lambda ring, slot: ring[slot])(ring, number % length)

    window = first[..., None] + jnp.arange(lookahead)
    ended = at(replay.rows.ended, window)
    going = jnp.cumprod(jnp.concatenate([jnp.ones_like(ended[..., :1]), ~ended[..., :-1]], -1), -1)
    decay = going * discount ** jnp.arange(lookahead)
    steps = going.sum(-1)
    terminated = (at(replay.rows.terminated, window) & (going > 0)).any(-1)
    found = Sample(
        observation=at(replay.rows.observation, first),
        action=at(replay.rows.action, first),
        reward=(decay * at(replay.rows.reward, window)).sum(-1),
        discount=jnp.where(terminated, 0.0, discount**steps),
        following=at(replay.rows.observation, first + steps),
        weight=at(replay.rows.acted, first).astype(jnp.float32),
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found)


def _put(ring, slot, row):
    """Writes one row of each ring."""
    return jax.vmap(lambda ring, slot, row: ring.at[slot].set(row.astype(ring.dtype)))(
        ring, slot, row
    )
