"""From data to noise: x = alpha x0 + sigma noise, where time grows with noise and t = 0 is data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.errors import UserError, choose

Time = Int[Array, '*n'] | Float[Array, '*n']


class Level(NamedTuple):
    """A place on the way. All leaves are [], or [b] (one per sample), or [n+1]: the levels that a
    sampler visits, from noisy to clean."""

    alpha: Float[Array, '*n']
    sigma: Float[Array, '*n']
    time: Float[Array, '*n']  # what a network is told: index 0 ... T-1, 1000 t, log(sigma)/4


@dataclass(frozen=True)
class Process:
    """A family of levels.

    level   the level at t: an index of a discrete process (-1 is clean; a fraction lies between),
            t in [0, 1] of a flow, sigma of EDM
    draw    times to train at, one per key
    steps   T of a discrete process, otherwise None
    top     the noisiest t
    """

    level: Callable[[Time], Level]
    draw: Callable[[Key[Array, 'b']], Time]
    steps: int | None
    top: int | float


def per_sample(value: Float[Array, '*b'], x: Float[Array, 'b *s']) -> Float[Array, '...']:
    """[] or [b], shaped to broadcast against x."""
    value = jnp.asarray(value)
    return value.reshape(value.shape + (1,) * (x.ndim - 1)) if value.ndim else value


def noised(
    x0: Float[Array, 'b *s'], noise: Float[Array, 'b *s'], level: Level
) -> Float[Array, 'b *s']:
    """alpha x0 + sigma noise."""
    return per_sample(level.alpha, x0) * x0 + per_sample(level.sigma, x0) * noise


def at(levels: Level, index: int | slice | Int[Array, '']) -> Level:
    """One or some of many levels."""
    return jax.tree.map(lambda x: x[index], levels)


def snr(level: Level) -> Float[Array, '*n']:
    """(alpha / sigma)^2."""
    return jnp.square(level.alpha / level.sigma)


# One step of the chain, between any two levels


def variances(now: Level, after: Level) -> tuple[Float[Array, '*n'], Float[Array, '*n']]:
    """(small, large): of q(x_after | x_now, x0), and of q(x_now | x_after), which is beta where
    alpha^2 + sigma^2 = 1. `small` is 0 where `after` is clean."""
    ratio = now.alpha / after.alpha
    forward = jnp.maximum(jnp.square(now.sigma) - jnp.square(ratio * after.sigma), 0.0)
    small = forward * jnp.square(after.sigma) / jnp.square(now.sigma)
    return small, forward


def posterior_mean(
    x0: Float[Array, 'b *s'], x: Float[Array, 'b *s'], now: Level, after: Level
) -> Float[Array, 'b *s']:
    """Mean of q(x_after | x_now = x, x0) (Ho et al. 2020, eq. 7, between any two levels)."""
    _, forward = variances(now, after)
    square = jnp.square(now.sigma)
    keep = now.alpha / after.alpha * jnp.square(after.sigma) / square
    return per_sample(keep, x) * x + per_sample(after.alpha * forward / square, x) * x0


def log_variance(
    kind: str,
    small: Float[Array, '*n'],
    large: Float[Array, '*n'],
    spread: Float[Array, 'b *s'] | None = None,
) -> Float[Array, '*n'] | Float[Array, 'b *s']:
    """Log variance of the model's step: 'small', 'large', or 'learned', between the two at
    `spread` (Nichol & Dhariwal 2021, eq. 15). Finite: where small is 0, large takes its place."""
    choose(kind, ('small', 'large', 'learned'), 'the variance')
    if kind == 'learned' and spread is None:
        raise UserError(
            'a learned variance needs a denoiser with learned_variance=True and a network with '
            'twice the channels of the image'
        )
    log_small, log_large = jnp.log(jnp.where(small > 0, small, large)), jnp.log(large)
    if kind != 'learned':
        return log_small if kind == 'small' else log_large
    log_small, log_large = per_sample(log_small, spread), per_sample(log_large, spread)
    return spread * log_large + (1 - spread) * log_small


# Times to train at


def uniform_index(steps: int) -> Callable[[Key[Array, 'b']], Int[Array, 'b']]:
    """Uniform over 0 ... steps - 1."""
    return jax.vmap(lambda key: jax.random.randint(key, (), 0, steps))


def uniform() -> Callable[[Key[Array, 'b']], Float[Array, 'b']]:
    """Uniform over [0, 1)."""
    return jax.vmap(lambda key: jax.random.uniform(key))


def logit_normal(
    mean: float = 0.0, std: float = 1.0
) -> Callable[[Key[Array, 'b']], Float[Array, 'b']]:
    """t = sigmoid(N(mean, std^2)): the middle of a flow more often (Esser et al. 2024)."""
    return jax.vmap(lambda key: jax.nn.sigmoid(mean + std * jax.random.normal(key)))


def log_normal(
    mean: float = -1.2, std: float = 1.2
) -> Callable[[Key[Array, 'b']], Float[Array, 'b']]:
    """sigma = exp(N(mean, std^2)) (Karras et al. 2022, table 1)."""
    return jax.vmap(lambda key: jnp.exp(mean + std * jax.random.normal(key)))
