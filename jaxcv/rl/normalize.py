"""Running normalization of observations and rewards, the same on every device.

The moments are part of the state, so that a checkpoint holds them and an evaluation uses them
frozen. During a rollout they stand still: what the policy sees when it acts is what it sees when
it learns.
"""

import jax
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcv.ops import across

CLIP = 10.0  # of what has been normalized


@struct.dataclass
class Moments:
    """Count, mean and sum of squared deviations of all that has been seen."""

    count: Float[Array, '']
    mean: Float[Array, ' *s']
    squares: Float[Array, ' *s']

    def variance(self) -> Float[Array, ' *s']:
        """Of the population; 1 before anything was seen."""
        seen = self.squares / jnp.maximum(self.count, 1.0)
        return jnp.where(self.count > 0, seen, 1.0)


def moments(shape: tuple[int, ...] = ()) -> Moments:
    """Nothing seen yet."""
    return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.zeros(shape))


def add(old: Moments, x: Float[Array, '...']) -> Moments:
    """Takes note of a batch, on all devices (Chan, Golub & LeVeque 1979, eq. 2.1)."""
    axes = tuple(range(x.ndim - old.mean.ndim))
    here = x.size // max(old.mean.size, 1)
    count = jnp.float32(here * across.size())
    local = x.mean(axes)
    mean = across.mean(local)
    squares = jnp.square(x - local).sum(axes) + here * jnp.square(local - mean)
    total, apart = old.count + count, mean - old.mean
    return Moments(
        total,
        old.mean + apart * count / total,
        old.squares + across.sum(squares) + jnp.square(apart) * old.count * count / total,
    )


def standardize(seen: Moments, x: Float[Array, '...']) -> Float[Array, '...']:
    """Mean 0, variance 1, clipped to +-10."""
    scale = jax.lax.rsqrt(seen.variance() + 1e-8)
    return jnp.clip((x - seen.mean) * scale, -CLIP, CLIP)


def discounted(
    total: Float[Array, 'n'],
    rewards: Float[Array, 't n'],
    done: Bool[Array, 't n'],
    discount: Float[Array, ''],
) -> tuple[Float[Array, 'n'], Float[Array, 't n']]:
    """Running discounted sums of rewards, R_t = discount R_{t-1} + r_t within an episode: the sum
    to go on with, and the sum at each step. Their spread is the scale of the returns."""

    def tick(total, now):
        reward, done = now
        total = discount * total + reward
        return jnp.where(done, 0.0, total), total

    return jax.lax.scan(tick, total, (rewards, done), unroll=8)


def scale(seen: Moments, rewards: Float[Array, '*b']) -> Float[Array, '*b']:
    """Rewards over the spread of the discounted sums, clipped to +-10. Their mean stays, since
    moving it would change which policy is best."""
    return jnp.clip(rewards * jax.lax.rsqrt(seen.variance() + 1e-8), -CLIP, CLIP)
