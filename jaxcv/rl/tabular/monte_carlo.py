"""Monte Carlo: values are averages of returns, of whole episodes.

Episodes have a static length at most. What one that is cut off is still worth is said by `tail`,
and how many were cut off is always reported.
"""

from functools import partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxcv.ops import across
from jaxcv.rl.tabular.mdp import MDP, arrive, pick
from jaxcv.rl.tabular.table import Agent, Table, behavior, toward
from jaxcv.rl.tabular.temporal import Episodes

TOGETHER = 256  # episodes that `predict` plays at once


class Episode(NamedTuple):
    """t steps; those behind the end are not valid."""

    state: Int[Array, 't']
    action: Int[Array, 't']
    reward: Float[Array, 't']
    valid: Bool[Array, 't']
    last: Int[Array, '']  # the state behind the last step
    terminated: Bool[Array, '']


class Estimate(NamedTuple):
    """Mean returns from each state, NaN where it was never visited, and their standard errors."""

    values: Float[Array, 's']
    errors: Float[Array, 's']
    visits: Float[Array, 's']
    cut: Float[Array, '']  # share of the episodes that were cut off


def episode(mdp: MDP, policy: Float[Array, 's a'], key: Key[Array, ''], length: int) -> Episode:
    """One episode of a policy, at most `length` steps."""
    luck = jax.random.uniform(key, (length + 1, 2), mdp.start.dtype)

    def tick(now, luck):
        state, valid = now
        action = pick(luck[0], policy[state])
        after, reward, terminated = arrive(mdp, luck[1], state, action)
        return (after, valid & ~terminated), (state, action, jnp.where(valid, reward, 0), valid)

    first = pick(luck[0, 0], mdp.start), jnp.bool_(True)
    (last, runs), steps = jax.lax.scan(tick, first, luck[1:])
    return Episode(*steps, last, ~runs)


def returns(
    played: Episode, discount: Float[Array, ''], tail: Float[Array, ''] | float
) -> Float[Array, 't']:
    """G_t = R_{t+1} + discount G_{t+1} (3.9), backwards from `tail` where it was cut off."""
    tail = jnp.where(played.terminated, 0.0, tail).astype(played.reward.dtype)

    def back(following, reward):
        total = reward + discount * following
        return total, total

    return jax.lax.scan(back, tail, played.reward, reverse=True)[1]


def first_visits(index: Int[Array, 't'], valid: Bool[Array, 't'], size: int) -> Bool[Array, 't']:
    """Where an index below `size` stands for the first time."""
    times = jnp.arange(len(index))
    first = jnp.full(size, len(index)).at[index].min(jnp.where(valid, times, len(index)))
    return valid & (first[index] == times)


@partial(jax.jit, static_argnames=('length', 'first'))
def predict(
    mdp: MDP,
    policy: Float[Array, 's a'],
    keys: Key[Array, 'n'],
    length: int,
    first: bool = True,
    tail: Float[Array, 's'] | None = None,
) -> Estimate:
    """Monte Carlo prediction (section 5.1) from one episode per key, by first or every visits.

    tail: [s] what a state is worth where an episode is cut off, by default 0.
    """
    tail = jnp.zeros(mdp.states) if tail is None else tail

    def one(key):
        """(sum of returns [s], visits [s], cut off)"""
        played = episode(mdp, policy, key, length)
        gains = returns(played, mdp.discount, tail[played.last])
        counted = played.valid
        if first:
            counted = first_visits(played.state, counted, mdp.states)
        zeros = jnp.zeros(mdp.states, gains.dtype)
        sums = zeros.at[played.state].add(jnp.where(counted, gains, 0.0))
        return sums, zeros.at[played.state].add(counted), ~played.terminated

    sums, counts, cut = jax.lax.map(one, keys, batch_size=TOGETHER)
    visits = counts.sum(0)
    values = sums.sum(0) / visits
    # Visits of one episode go together, so the error is that of a ratio of means over episodes.
    spread = jnp.square(sums - jnp.where(visits > 0, values, 0.0) * counts).sum(0)
    return Estimate(values, jnp.sqrt(spread) / visits, visits, cut.mean())


def control(
    mdp: MDP, agent: Agent, table: Table, walkers: int, key: Key[Array, ''], length: int
) -> tuple[Table, Episodes]:
    """On-policy first-visit control (section 5.4): an episode of every walker, and what the table
    learns from the returns. An episode that is cut off goes on with what the table says."""
    policy = behavior(agent, table)
    worth = (policy * table.q).sum(-1)

    def one(key):
        played = episode(mdp, policy, key, length)
        gains = returns(played, mdp.discount, worth[played.last])
        pairs = played.state * mdp.actions + played.action
        counted = first_visits(pairs, played.valid, mdp.states * mdp.actions)
        return played, gains, counted

    played, gains, counted = jax.vmap(one)(across.keys(key, walkers))
    index = jnp.zeros_like(played.state), played.state, played.action
    table = toward(agent, table, index, gains, counted)
    ended = jnp.ones(walkers, bool)
    return table, Episodes(ended, played.reward.sum(-1), played.valid.sum(-1))
