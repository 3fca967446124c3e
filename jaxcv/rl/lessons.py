"""What an agent learns from: a segment with its advantages, and the minibatches it falls into."""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from jaxcv.errors import UserError
from jaxcv.ops import across
from jaxcv.rl.advantages import gae
from jaxcv.rl.rollout import Trajectory


class Lesson(NamedTuple):
    """What the loss needs to know of each step."""

    observation: Float[Array, 't n ...']
    start: Bool[Array, 't n']
    action: Array
    log_prob: Float[Array, 't n']
    value: Float[Array, 't n']
    advantage: Float[Array, 't n']
    target: Float[Array, 't n']  # of the value


def lessons(agent, segment: Trajectory) -> Lesson:
    """Advantages and targets of a segment. agent: any record with `discount` and `trace`."""
    advantage = gae(
        segment.reward,
        segment.value,
        segment.next_value,
        segment.terminated,
        segment.truncated,
        agent.discount,
        agent.trace,
    )
    return Lesson(
        observation=segment.observation,
        start=segment.start,
        action=segment.action,
        log_prob=segment.log_prob,
        value=segment.value,
        advantage=advantage,
        target=advantage + segment.value,
    )


def check(agent, count: int, recurrent: bool) -> None:
    """Refuses segments that do not divide into `agent.minibatches`; for `count` environments."""
    if recurrent and count % agent.minibatches:
        raise UserError(
            f'config.agent.minibatches is {agent.minibatches}, which does not divide the {count}'
            ' environments; a recurrent policy learns from whole sequences: change'
            ' config.train.batch_size or config.agent.minibatches'
        )
    if not recurrent and agent.steps % agent.minibatches:
        raise UserError(
            f'config.agent.minibatches is {agent.minibatches}, which does not divide the'
            f' {agent.steps} steps of a segment (config.agent.steps): change one of them'
        )


def groups(count: int, steps: int, parts: int, recurrent: bool) -> Int[Array, 'g i']:
    """Rows of a segment in groups, within which they are shuffled: the steps of an environment
    (step t of environment n is row t * count + n), or for recurrent policies, whose rows are whole
    environments, `parts` neighbours."""
    if recurrent:
        return jnp.arange(count).reshape(-1, parts)
    return jnp.arange(steps * count).reshape(steps, count).T


def shuffled(key: Key[Array, ''], table: Int[Array, 'g i'], parts: int) -> Int[Array, 'parts r']:
    """Minibatches that cover all rows once, each with equally many of every group.

    The shuffle of a group depends on its place among the groups of all devices alone, so that any
    number of devices learns from the same minibatches.
    """
    keys = across.keys(key, len(table))
    bits = jax.vmap(lambda key: jax.random.bits(key, table.shape[1:]))(keys)
    rows = jnp.take_along_axis(table, order(bits), 1)
    return rows.reshape(len(table), parts, -1).swapaxes(0, 1).reshape(parts, -1)


def order(bits: UInt32[Array, 'g i']) -> Int[Array, 'g i']:
    """A random permutation per group. The index is kept in the low bits: sorting numbers is
    several times faster than sorting pairs."""
    count = bits.shape[1]
    low = jnp.uint32((1 << (count - 1).bit_length()) - 1)
    index = jnp.arange(count, dtype=jnp.uint32)
    return (jnp.sort((bits & ~low) | index, 1) & low).astype(jnp.int32)
