"""How much better an action was than the policy's average: returns and advantages.

Time first, [t n]. An episode that is *terminated* has no future; one that is *truncated* has, so
`next_values` holds the value of the true next observation, before any reset, everywhere.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.ops import across


def gae(
    rewards: Float[Array, 't n'],
    values: Float[Array, 't n'],
    next_values: Float[Array, 't n'],
    terminated: Bool[Array, 't n'],
    truncated: Bool[Array, 't n'],
    discount: Float[Array, ''] | float,
    trace: Float[Array, ''] | float,
) -> Float[Array, 't n']:
    """Generalized advantage estimates (Schulman et al. 2016, eq. 16), by a reverse scan:

        delta_t = r_t + discount (1 - terminated_t) V(s_{t+1}) - V(s_t)
        A_t     = delta_t + discount trace (1 - done_t) A_{t+1}

    trace 0 is the one-step error, trace 1 the discounted return minus the value.
    """
    deltas = rewards + discount * jnp.where(terminated, 0.0, next_values) - values
    decay = jnp.where(terminated | truncated, 0.0, discount * trace)

    def back(advantage, now):
        delta, decay = now
        advantage = delta + decay * advantage
        return advantage, advantage

    start = jnp.zeros_like(deltas[0])
    return jax.lax.scan(back, start, (deltas, decay), reverse=True, unroll=8)[1]


def following(
    values: Float[Array, 't n'], last: Float[Array, 'n'], final: Float[Array, 't n'], truncated
) -> Float[Array, 't n']:
    """Values of the true next observations: those of the next step, of the observation `last`
    behind the segment, and where an episode was truncated, of its `final` observation."""
    return jnp.where(truncated, final, jnp.concatenate([values[1:], last[None]]))


def standardize(advantages: Float[Array, ' *b']) -> Float[Array, ' *b']:
    """Mean 0 and variance 1, over all devices."""
    centered = advantages - across.mean(advantages.mean())
    return centered * jax.lax.rsqrt(variance(advantages) + 1e-8)


def explained_variance(
    values: Float[Array, ' *b'], targets: Float[Array, ' *b']
) -> Float[Array, '']:
    """1 - Var(target - value) / Var(target), over all devices: 1 for a perfect critic, 0 for a
    constant one."""
    return 1 - variance(targets - values) / jnp.maximum(variance(targets), 1e-8)


def variance(x: Float[Array, ' *b']) -> Float[Array, '']:
    """Of the population on all devices."""
    return across.mean(jnp.square(x - across.mean(x.mean())).mean())
