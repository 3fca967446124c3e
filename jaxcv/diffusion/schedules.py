"""How noise grows: alpha_bar of discrete processes, and the processes themselves.

A discrete schedule is computed once, in double precision on the host: alpha_bar [T], decreasing.
alpha = sqrt(alpha_bar) and sigma = sqrt(1 - alpha_bar).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from jaxcv.diffusion.process import (
    Level,
    Process,
    log_normal,
    logit_normal,
    uniform,
    uniform_index,
)
from jaxcv.errors import UserError, choose, construct

AlphaBar = Float[np.ndarray, 'T']
Draw = Callable[[Key[Array, 'b']], Float[Array, 'b']]


def linear(steps: int = 1000, low: float = 1e-4, high: float = 0.02) -> AlphaBar:
    """Betas from low to high (Ho et al. 2020), times 1000/T, so that the end is as noisy for every
    number of steps."""
    return accumulated(np.linspace(low, high, steps) * 1000 / steps)


def scaled_linear(steps: int = 1000, low: float = 0.00085, high: float = 0.012) -> AlphaBar:
    """Betas whose square roots grow linearly (Rombach et al. 2022, whose code calls this linear),
    times 1000/T."""
    return accumulated(np.linspace(low**0.5, high**0.5, steps) ** 2 * 1000 / steps)


def sigmoid(steps: int = 1000, low: float = 1e-4, high: float = 0.02) -> AlphaBar:
    """Betas from low to high along a sigmoid over [-6, 6] (Xu et al. 2022), times 1000/T."""
    rise = 1 / (1 + np.exp(-np.linspace(-6, 6, steps)))
    return accumulated((low + rise * (high - low)) * 1000 / steps)


def cosine(steps: int = 1000, offset: float = 0.008, largest: float = 0.999) -> AlphaBar:
    """alpha_bar = cos^2 of the time (Nichol & Dhariwal 2021, eq. 17), no beta above `largest`."""
    t = np.arange(steps + 1) / steps
    path = np.cos((t + offset) / (1 + offset) * np.pi / 2) ** 2
    return accumulated(np.minimum(1 - path[1:] / path[:-1], largest))


def sigmoid_path(
    steps: int = 1000, start: float = -3.0, end: float = 3.0, temperature: float = 1.0
) -> AlphaBar:
    """alpha_bar itself falls from 1 to 0 along a sigmoid (Jabri et al. 2022), no beta above .999:
    less time at high noise than `cosine` for small images, more for larger `temperature`."""
    t = np.arange(steps + 1) / steps
    path = 1 / (1 + np.exp((start + t * (end - start)) / temperature))
    path = (path - path[-1]) / (path[0] - path[-1])
    return accumulated(np.minimum(1 - path[1:] / path[:-1], 0.999))


def zero_terminal_snr(alpha_bar: AlphaBar) -> AlphaBar:
    """The same schedule, shifted and scaled so that nothing of the image is left at its end (Lin et
    al. 2024, algorithm 1). Needs a parameterization other than eps."""
    root = np.sqrt(alpha_bar)
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return root**2


def accumulated(betas: Float[np.ndarray, 'T']) -> AlphaBar:
    """alpha_bar_t = product of 1 - beta up to t."""
    betas = np.asarray(betas, np.float64)
    if not (betas > 0).all() or not (betas <= 1).all():
        raise UserError(
            f'the betas of {len(betas)} steps reach from {betas.min():.3g} to {betas.max():.3g}, '
            'but must lie in (0, 1]: take more steps or a lower end of the schedule'
        )
    return np.cumprod(1 - betas)


def betas(alpha_bar: AlphaBar) -> Float[np.ndarray, 'T']:
    """The inverse of `accumulated`: variance of q(x_t | x_{t-1})."""
    return 1 - alpha_bar / np.concatenate([[1.0], alpha_bar[:-1]])


# Processes


def discrete(alpha_bar: AlphaBar) -> Process:
    """The variance-preserving process with these levels, at the indices 0 ... T-1.

    Index -1 is clean. Between indices sigma/alpha is interpolated linearly."""
    steps = len(alpha_bar)
    kept = np.concatenate([[1.0], np.asarray(alpha_bar, np.float64)])
    alpha, sigma = np.sqrt(kept).astype(np.float32), np.sqrt(1 - kept).astype(np.float32)

    def level(t):
        t = jnp.asarray(t)
        below = jnp.floor(t).astype(jnp.int32) + 1
        time = jnp.maximum(t, 0).astype(jnp.float32)
        here = Level(jnp.asarray(alpha)[below], jnp.asarray(sigma)[below], time)
        if not jnp.issubdtype(t.dtype, jnp.floating):
            return here
        above = jnp.minimum(below + 1, steps)
        return between(here, Level(jnp.asarray(alpha)[above], jnp.asarray(sigma)[above], time), t)

    return Process(level, uniform_index(steps), steps, steps - 1)


def between(low: Level, high: Level, t: Float[Array, '*n']) -> Level:
    """sigma/alpha interpolated by the fraction of t, on the circle alpha^2 + sigma^2 = 1.

    Written without the quotient, because the noisiest alpha may be 0."""
    part = t - jnp.floor(t)
    sigma = (1 - part) * low.sigma * high.alpha + part * high.sigma * low.alpha
    alpha = low.alpha * high.alpha
    norm = jnp.hypot(alpha, sigma)
    exact = part == 0
    return Level(
        jnp.where(exact, low.alpha, alpha / norm),
        jnp.where(exact, low.sigma, sigma / norm),
        low.time,
    )


def shifted(t: Float[Array, '*n'], shift: float) -> Float[Array, '*n']:
    """shift t / (1 + (shift - 1) t): larger images need more noise (Esser et al. 2024, eq. 23)."""
    return shift * t / (1 + (shift - 1) * t)


def flow(shift: float = 1.0, draw: Draw | None = None) -> Process:
    """The straight path x = (1 - s) x0 + s noise, where s is the shifted t in [0, 1].

    The shift belongs to the process and is applied here only: draws and grids are those of t. The
    network is told 1000 s. Some papers count the other way around: their t is 1 - s."""

    def level(t):
        s = shifted(jnp.asarray(t, jnp.float32), shift)
        return Level(1 - s, s, 1000 * s)

    return Process(level, draw or logit_normal(), None, 1.0)


def edm(high: float = 80.0, draw: Draw | None = None) -> Process:
    """x = x0 + sigma noise (Karras et al. 2022); t is sigma; the network is told log(sigma)/4."""

    def level(sigma):
        sigma = jnp.asarray(sigma, jnp.float32)
        floor = jnp.finfo(jnp.float32).tiny  # a finite time where sigma is 0
        return Level(jnp.ones_like(sigma), sigma, jnp.log(jnp.maximum(sigma, floor)) / 4)

    return Process(level, draw or log_normal(), None, high)


# By name

SCHEDULES = {
    'linear': linear,
    'scaled_linear': scaled_linear,
    'sigmoid': sigmoid,
    'cosine': cosine,
    'sigmoid_path': sigmoid_path,
}
CONTINUOUS = {'flow': flow, 'edm': edm}
DRAWS = {'uniform': uniform, 'logit_normal': logit_normal, 'log_normal': log_normal}


def process(
    name: str,
    *,
    zero_snr: bool = False,
    draw: Mapping[str, Any] | None = None,
    **fields: float,
) -> Process:
    """By name, with the fields of its function: process('cosine', steps=500).

    zero_snr: a discrete schedule goes through `zero_terminal_snr`.
    draw: times to train a flow or EDM at, {'name': 'log_normal', 'mean': -0.4, 'std': 1.0}."""
    function = {**SCHEDULES, **CONTINUOUS}[choose(name, {**SCHEDULES, **CONTINUOUS}, 'the process')]
    if zero_snr and name in CONTINUOUS:
        raise UserError(f'zero_snr changes discrete schedules, but the process is {name!r}')
    if draw is not None:
        fields['draw'] = drawing(**draw)
    made = construct(function, fields, f'process {name!r}')
    if name in CONTINUOUS:
        return made
    return discrete(zero_terminal_snr(made) if zero_snr else made)


def drawing(name: str, **fields: float) -> Draw:
    """Times to train at, by name."""
    function = DRAWS[choose(name, DRAWS, 'the draw of times')]
    return construct(function, fields, f'draw {name!r}')
