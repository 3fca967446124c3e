"""Temporal-difference learning: values learn from the values that follow them.

An episode that `limit` cuts off has a future all the same: its last target still looks at the
next state. Only a terminal state is worth nothing.
"""

from functools import partial
from typing import NamedTuple

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.ops import across
from jaxcv.rl.tabular.mdp import MDP, arrive, pick
from jaxcv.rl.tabular.table import Agent, Table, behavior, choose, toward


@struct.dataclass
class Walkers:
    """n agents on their way through the same MDP, learning one table."""

    state: Int[Array, 'n']
    action: Int[Array, 'n']  # to be taken next
    length: Int[Array, 'n']  # of the episode so far
    collected: Float[Array, 'n']  # its rewards so far


class Episodes(NamedTuple):
    """Which walkers ended an episode, and what it brought (undiscounted)."""

    ended: Bool[Array, 'n']
    returns: Float[Array, 'n']
    lengths: Int[Array, 'n']


class Moved(NamedTuple):
    """One step of n walkers, before anything is reset."""

    state: Int[Array, 'n']
    action: Int[Array, 'n']
    reward: Float[Array, 'n']
    after: Int[Array, 'n']
    following: Int[Array, 'n']  # the action that the policy takes there
    terminated: Bool[Array, 'n']


def luck(key: Key[Array, ''], n: int, count: int) -> Float[Array, 'count n']:
    """Uniform numbers of the n walkers here, each with its own whatever the devices."""
    return jax.vmap(lambda key: jax.random.uniform(key, (count,)))(across.keys(key, n)).T


def enter(mdp: MDP, policy: Float[Array, 's a'], luck: Float[Array, '2 n']) -> Walkers:
    """Walkers at the beginning of an episode."""
    state = jax.vmap(pick, (0, None))(luck[0], mdp.start)
    nothing = jnp.zeros(state.shape, mdp.reward.dtype)
    return Walkers(state, choose(policy, luck[1], state), jnp.zeros_like(state), nothing)


def walk(
    mdp: MDP,
    policy: Float[Array, 's a'],
    walkers: Walkers,
    luck: Float[Array, '4 n'],
    limit: Int[Array, ''] | int,
) -> tuple[Walkers, Moved, Episodes]:
    """Everyone takes the action that is due; whose episode ends begins another."""
    state, action = walkers.state, walkers.action
    after, reward, terminated = jax.vmap(partial(arrive, mdp))(luck[0], state, action)
    following = choose(policy, luck[1], after)
    length, collected = walkers.length + 1, walkers.collected + reward
    ended = terminated | (length >= limit)
    moved = Moved(state, action, reward, after, following, terminated)
    goes_on = Walkers(after, following, length, collected)
    walkers = jax.tree.map(partial(jnp.where, ended), enter(mdp, policy, luck[2:]), goes_on)
    return walkers, moved, Episodes(ended, collected, length)


# What the next state is worth, [n]: own and other are rows of q there, [n a], from the same table
# but for double Q-learning; following is the next action, policy its distribution.


def sarsa(own, other, following, policy):
    """Q(S', A') (6.7)."""
    return jnp.take_along_axis(own, following[:, None], -1)[:, 0]


def expected_sarsa(own, other, following, policy):
    """sum_a pi(a|S') Q(S', a) (6.9)."""
    return (policy * own).sum(-1)


def q_learning(own, other, following, policy):
    """max_a Q(S', a) (6.8)."""
    return own.max(-1)


def double_q_learning(own, other, following, policy):
    """Q2(S', argmax_a Q1(S', a)) (6.10)."""
    return jnp.take_along_axis(other, own.argmax(-1)[:, None], -1)[:, 0]


METHODS = {
    'sarsa': sarsa,
    'expected_sarsa': expected_sarsa,
    'q_learning': q_learning,
    'double_q_learning': double_q_learning,
}


def control(
    mdp: MDP,
    agent: Agent,
    table: Table,
    walkers: Walkers,
    key: Key[Array, ''],
    limit: Int[Array, ''] | int,
) -> tuple[Table, Walkers, Episodes]:
    """One step of every walker, and what the table learns from it."""
    tables, policy = len(table.values), behavior(agent, table)
    chance = luck(key, len(walkers.state), 5)
    walkers, moved, episodes = walk(mdp, policy, walkers, chance[:4], limit)
    which = (chance[4] * tables).astype(jnp.int32)
    own, other = (table.values[i, moved.after] for i in (which, tables - 1 - which))
    future = METHODS[agent.name](own, other, moved.following, policy[moved.after])
    target = moved.reward + mdp.discount * jnp.where(moved.terminated, 0.0, future)
    table = toward(agent, table, (which, moved.state, moved.action), target)
    return table, walkers, episodes


@partial(jax.jit, static_argnames=('steps', 'walkers'))
def predict(
    mdp: MDP,
    policy: Float[Array, 's a'],
    agent: Agent,
    key: Key[Array, ''],
    steps: int,
    walkers: int = 1,
    limit: Int[Array, ''] | int = 10_000,
) -> Float[Array, 's']:
    """TD(0) prediction (6.2) of a policy's values, in `steps` steps of every walker."""
    enter_key, walk_key = jax.random.split(key)
    blank = jnp.where(mdp.terminal, 0.0, jnp.full(mdp.states, agent.initial))
    table = Table(*(x[None, :, None] for x in (blank, jnp.zeros_like(blank))))

    def tick(now, key):
        table, there = now
        there, moved, _ = walk(mdp, policy, there, luck(key, walkers, 4), limit)
        future = jnp.where(moved.terminated, 0.0, table.values[0, moved.after, 0])
        zero = jnp.zeros_like(moved.state)
        target = moved.reward + mdp.discount * future
        return (toward(agent, table, (zero, moved.state, zero), target), there), None

    first = table, enter(mdp, policy, luck(enter_key, walkers, 2))
    (table, _), _ = jax.lax.scan(tick, first, jax.random.split(walk_key, steps))
    return table.values[0, :, 0]
