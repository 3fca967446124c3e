"""A policy acts in its environments: a segment of experience, as one scan.

Environments go on from segment to segment: `Actors` is what they carry, and part of the state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from jaxcv.ops import across
from jaxcv.rl.advantages import following
from jaxcv.rl.envs.vector import Environments, Result

# (observation [t n ...], start [t n], carry) -> (distribution, value [t n], carry)
Network = Callable[[Array, Bool[Array, 't n'], PyTree], tuple[Any, Float[Array, 't n'], PyTree]]


@struct.dataclass
class Actors:
    """n environments and what each remembers; every leaf leads with n."""

    state: PyTree[Array]
    observation: Array
    start: Bool[Array, 'n']  # nothing has happened yet in this episode
    carry: PyTree[Array]  # of a recurrent policy
    collected: Float[Array, 'n']  # return of the episode so far
    length: Int[Array, 'n']


class Trajectory(NamedTuple):
    """A segment of t steps in n environments."""

    observation: Float[Array, 't n ...']
    start: Bool[Array, 't n']
    action: Array  # as sampled, [t n ...]
    log_prob: Float[Array, 't n']
    value: Float[Array, 't n']
    next_value: Float[Array, 't n']  # of the true next observation, before any reset
    reward: Float[Array, 't n']
    terminated: Bool[Array, 't n']
    truncated: Bool[Array, 't n']


class Finished(NamedTuple):
    """The episodes that ended in a segment, on all devices."""

    count: Float[Array, '']
    returns: Float[Array, '']  # sum
    lengths: Float[Array, '']  # sum


def enter(envs: Environments, keys: Key[Array, 'n'], blank: PyTree[Array]) -> Actors:
    """n environments at their beginning; `blank` is the policy's carry [n ...]."""
    observation, state = envs.reset(keys)
    n = keys.shape[0]
    return Actors(
        state=state,
        observation=observation,
        start=jnp.ones(n, bool),
        carry=blank,
        collected=jnp.zeros(n),
        length=jnp.zeros(n, jnp.int32),
    )


def collect(
    envs: Environments, network: Network, actors: Actors, key: Key[Array, ''], steps: int
) -> tuple[Actors, Trajectory, Finished]:
    """A segment of `steps` steps."""
    groups = min(envs.groups, len(actors.start))
    keys = jax.vmap(lambda key: across.keys(key, len(actors.start)))(jax.random.split(key, steps))
    keys = jax.vmap(jax.vmap(lambda key: jax.random.split(key)))(keys)
    first, _, _ = network(actors.observation[None], actors.start[None], actors.carry)
    draws = first.noise(keys[..., 0]), keys[..., 1]

    def value_of(observation, start, carry):
        return network(observation[None], start[None], carry)[1][0]

    def act(actors, noise, keys):
        """What one group does; the environments are on their way when it returns."""
        distribution, value, carry = network(
            actors.observation[None], actors.start[None], actors.carry
        )
        distribution = jax.tree.map(lambda x: x[0], distribution)
        action = distribution.sample(noise)
        log_prob = distribution.log_prob(action)
        pending = envs.send(keys, actors.state, distribution.executed(action))
        return pending, (actors, carry, action, log_prob, value[0])

    def tick(actors, draws):
        pendings, before = [], []
        for part, drawn in zip(_parts(actors, groups), _parts(draws, groups), strict=True):
            if pendings:  # no group decides before the one ahead of it is on its way
                seen = envs.after(pendings[-1], part.observation)
                part = part.replace(observation=seen)
            pending, decided = act(part, *drawn)
            pendings.append(pending)
            before.append(decided)
        # Nor is any waited for before all are.
        pendings = [envs.after(pendings[-1], pending) for pending in pendings]
        result = _whole([envs.receive(pending) for pending in pendings])
        before, carry, action, log_prob, value = _whole(before)
        final = jax.lax.cond(
            result.truncated.any(),
            lambda: value_of(result.final, jnp.zeros_like(result.truncated), carry),
            lambda: jnp.zeros_like(value),
        )
        after, ended = advance(before, result, carry)
        step = Trajectory(
            observation=before.observation,
            start=before.start,
            action=action,
            log_prob=log_prob,
            value=value,
            next_value=final,
            reward=result.reward,
            terminated=result.terminated,
            truncated=result.truncated,
        )
        return after, (step, ended)

    actors, (segment, ended) = jax.lax.scan(tick, actors, draws)
    last = value_of(actors.observation, actors.start, actors.carry)
    next_value = following(segment.value, last, segment.next_value, segment.truncated)
    return actors, segment._replace(next_value=next_value), finished(ended)


def advance(
    actors: Actors, result: Result, carry: PyTree[Array]
) -> tuple[Actors, Float[Array, '3']]:
    """The actors after a step, and of the episodes that ended in it: count, returns, lengths."""
    done = result.terminated | result.truncated
    collected, length = actors.collected + result.reward, actors.length + 1
    after = Actors(
        state=result.state,
        observation=result.observation,
        start=done,
        carry=carry,
        collected=jnp.where(done, 0.0, collected),
        length=jnp.where(done, 0, length),
    )
    ended = jnp.stack([done, jnp.where(done, collected, 0), jnp.where(done, length, 0)])
    return after, ended.sum(1)


def finished(ended: Float[Array, 't 3']) -> Finished:
    """All episodes that ended in these steps, on all devices."""
    return Finished(*across.sum(ended.sum(0)))


def invalid(*seen: Array) -> Float[Array, '']:
    """How many numbers in observations and rewards are not finite, on all devices: an alarm."""
    return across.sum(sum(jnp.sum(~jnp.isfinite(x)) for x in seen)).astype(jnp.float32)


def complaint(envs: Environments) -> tuple[str, str]:
    """What to say of it."""
    return (
        f'{envs.name} gives observations or rewards that are NaN or infinite',
        'Look at its params in config.env, and at the bounds of the actions',
    )


def _parts(tree, count):
    """The leading axis in `count` parts."""

    def part(i):
        return jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:])[i], tree)

    return [part(i) for i in range(count)]


def _whole(parts):
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *xs: jnp.concatenate(xs), *parts)


def latest(recent: dict[str, Float[Array, '']], finished: Finished) -> dict[str, Float[Array, '']]:
    """Mean return and length of the episodes that just ended; of the last ones where none did."""
    new = {'episode_return': finished.returns, 'episode_length': finished.lengths}
    count = jnp.maximum(finished.count, 1)
    return {
        name: jnp.where(finished.count > 0, new[name] / count, old) for name, old in recent.items()
    }
