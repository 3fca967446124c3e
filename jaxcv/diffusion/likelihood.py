"""How likely images are: the variational bound of the chain, and the exact density of the ODE.

Both are given in bits per dimension of 8-bit data, whose value k is -1 + 2 k / 255.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.diffusion.parameterization import Denoiser, Prediction
from jaxcv.diffusion.process import (
    Level,
    at,
    log_variance,
    noised,
    per_sample,
    posterior_mean,
    variances,
)
from jaxcv.ops.noise import normal

Images = Float[Array, 'b *s']


class Bound(NamedTuple):
    """Bits per dimension."""

    total: Float[Array, 'b']  # prior + sum of steps
    prior: Float[Array, 'b']
    steps: Float[Array, 'n b']  # in the order of the levels


def variational_bound(
    denoise: Denoiser,
    levels: Level,
    x0: Images,
    keys: Key[Array, 'b'],
    variance: str = 'small',
    bins: int = 256,
) -> Bound:
    """An upper bound of -log2 p(x0) / D for the chain of these levels [n+1], with one draw of
    noise per step (Ho et al. 2020, eq. 5). The chain starts at sigma N(0, 1), like its sampler.

    levels: usually all T of the process, `spacing.leading(process, process.steps)`."""
    second = jnp.zeros(())
    if len(levels.alpha) > 2:
        second, _ = variances(at(levels, -3), at(levels, -2))

    def one(i):
        now, after = at(levels, i), at(levels, i + 1)
        noise = normal(jax.vmap(lambda key: jax.random.fold_in(key, i))(keys), x0.shape[1:])
        x = noised(x0, noise, now)
        return step_bits(x0, x, denoise(x, now), now, after, second, variance, bins)

    steps = jax.lax.map(one, jnp.arange(len(levels.alpha) - 1))
    prior = mean(jnp.square(levels.alpha[0] * x0 / levels.sigma[0])) / 2 / jnp.log(2.0)
    return Bound(prior + steps.sum(0), prior, steps)


def step_bits(
    x0: Images,
    x: Images,
    prediction: Prediction,
    now: Level,
    after: Level,
    second: Float[Array, ''],
    variance: str,
    bins: int = 256,
) -> Float[Array, 'b']:
    """One term of the bound: KL(q(x_after | x, x0) || p(x_after | x)), or -log p(x0 | x) of the
    8-bit values where `after` is clean.

    second: the small variance of the step before the last, which stands in for the last one's 0
    (Ho et al. 2020). Where only one step exists it is 0, and the large one stands in."""
    small, large = variances(now, after)
    clean = after.sigma == 0
    small = jnp.where(clean, second, small)
    if variance != 'learned':
        large = jnp.where(clean & (second > 0), second, large)
    log_small = per_sample(log_variance('small', small, large), x)
    log_model = log_variance(variance, small, large, prediction.spread)
    log_model = log_model if variance == 'learned' else per_sample(log_model, x)
    means = [posterior_mean(y, x, now, after) for y in (x0, prediction.x0)]
    divergence = normal_divergence(means[0], log_small, means[1], log_model)
    decoder = -discretized_log_prob(x0, means[1], log_model, bins)
    return mean(jnp.where(per_sample(clean, x), decoder, divergence)) / jnp.log(2.0)


def mean(x: Images) -> Float[Array, 'b']:
    """Over all but the batch."""
    return x.reshape(len(x), -1).mean(1)


def normal_divergence(
    mean: Float[Array, '*s'],
    log_variance: Float[Array, '*s'],
    other_mean: Float[Array, '*s'],
    other_log_variance: Float[Array, '*s'],
) -> Float[Array, '*s']:
    """KL(N(mean, e^log_variance) || N(other_mean, e^other_log_variance)), in nats."""
    gap = log_variance - other_log_variance
    scaled = jnp.square(mean - other_mean) * jnp.exp(-other_log_variance)
    return 0.5 * (jnp.expm1(gap) - gap + scaled)


def discretized_log_prob(
    x: Float[Array, '*s'],
    mean: Float[Array, '*s'],
    log_variance: Float[Array, '*s'],
    bins: int = 256,
) -> Float[Array, '*s']:
    """log of the mass that a normal distribution has in the bin of x (Ho et al. 2020, eq. 13). The
    first and the last bin reach to infinity."""
    scale, half = jnp.exp(-0.5 * log_variance), 1 / (bins - 1)
    low, high = (x - half - mean) * scale, (x + half - mean) * scale
    # Both tails are measured on the left, where their logarithm is exact.
    right = low + high > 0
    low, high = jnp.where(right, -high, low), jnp.where(right, -low, high)
    bottom, top = x < -1 + half, x > 1 - half
    open_low = jnp.where(right, top, bottom)
    open_high = jnp.where(right, bottom, top)
    return log_mass(jnp.where(open_low, -jnp.inf, low), jnp.where(open_high, jnp.inf, high))


def log_mass(low: Float[Array, '*s'], high: Float[Array, '*s']) -> Float[Array, '*s']:
    """log(Phi(high) - Phi(low)), where low < high."""
    unbounded = jnp.isneginf(low)
    above = jax.scipy.special.log_ndtr(high)
    below = jax.scipy.special.log_ndtr(jnp.where(unbounded, high - 1.0, low))
    gap = jnp.minimum(below - above, -jnp.finfo(above.dtype).tiny)
    return above + jnp.where(unbounded, 0.0, jnp.log(-jnp.expm1(gap)))


# The density that the probability-flow ODE gives


def log_likelihood(
    denoise: Denoiser,
    levels: Level,
    x0: Images,
    keys: Key[Array, 'b'],
    probes: int | None = 1,
) -> Float[Array, 'b']:
    """log p(x0) in nats, of the density that the ODE makes of sigma N(0, 1) (Song et al. 2021).

    Between two levels the path is a chord, dx = dalpha x0(x) + dsigma noise(x), which carries one
    level's distribution to the next exactly; Heun's rule integrates x and the trace of dx's
    Jacobian from the last level to the first. The trace is Hutchinson's estimate with `probes`
    random signs per sample, without bias; None computes it exactly, at D times the cost.

    levels: [n+1], as for a sampler. A prediction of x0 has no noise at a clean level: leave that
    out and end at little noise."""
    shape, dims = x0.shape, x0[0].size
    probe = signs(keys, x0, probes) if probes else jnp.eye(dims).reshape(dims, 1, *shape[1:])
    probe = jnp.broadcast_to(probe, (len(probe), *shape)).astype(x0.dtype)

    def velocity(x, level, move):
        def drift(x):
            found = denoise(x, level)
            return move.alpha * found.x0 + move.sigma * found.noise

        dx, jacobian = jax.linearize(drift, x)
        along = jax.vmap(lambda e: (e * jacobian(e)).reshape(len(x), -1).sum(1))(probe)
        return dx, along.mean(0) if probes else along.sum(0)

    def step(carry, ends):
        x, log_det = carry
        here, there = ends
        move = jax.tree.map(jnp.subtract, there, here)
        dx, trace = velocity(x, here, move)
        dx_end, trace_end = velocity(x + dx, there, move)
        return (x + (dx + dx_end) / 2, log_det + (trace + trace_end) / 2), None

    up = at(levels, slice(None, None, -1))
    ends = at(up, slice(-1)), at(up, slice(1, None))
    start = (up.alpha[0] * x0, jnp.full(len(x0), dims * jnp.log(up.alpha[0])))
    (x, log_det), _ = jax.lax.scan(step, start, ends)
    prior = jax.scipy.stats.norm.logpdf(x, scale=levels.sigma[0])
    return prior.reshape(len(x), -1).sum(1) + log_det


def signs(keys: Key[Array, 'b'], x: Images, n: int) -> Float[Array, 'n b *s']:
    """n tensors of random signs, drawn per sample."""
    draw = jax.vmap(lambda key: jax.random.rademacher(key, (n, *x.shape[1:]), x.dtype))
    return jnp.moveaxis(draw(keys), 1, 0)


def dequantized(x: Images, keys: Key[Array, 'b'], bins: int = 256) -> Images:
    """8-bit values spread evenly over their bins, so that they have a density."""
    spread = jax.vmap(lambda key: jax.random.uniform(key, x.shape[1:], x.dtype, -1.0, 1.0))
    return x + spread(keys) / (bins - 1)


def bits_per_dim(log_prob: Float[Array, 'b'], dims: int, bins: int = 256) -> Float[Array, 'b']:
    """From the log density (nats) of `dequantized` values in [-1, 1], an upper bound of the bits of
    the 8-bit values: -log2 p / D - log2 of a bin's width, 2 / (bins - 1)."""
    return -log_prob / (dims * jnp.log(2.0)) - jnp.log2(2 / (bins - 1))
