"""Which levels a sampler visits: n + 1 of them, from the noisiest to a clean one.

n steps then evaluate the network n times, at the first n levels. Each level's successor is the next
entry, never an index minus T // n.
"""

from functools import partial

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Float

from jaxcv.diffusion.process import Level, Process, Time
from jaxcv.errors import UserError, choose, construct


def path(process: Process, times: Time) -> Level:
    """The levels at these descending times [n], then a clean one: [n+1]."""
    return ended(process.level(times))


def ended(levels: Level) -> Level:
    """Noisy levels [n], then a clean one. Its time is that of the level before: inversion asks the
    network there, and knows none lower."""
    clean = Level(jnp.ones(1), jnp.zeros(1), levels.time[-1:])
    return Level(*(jnp.concatenate(pair) for pair in zip(levels, clean, strict=True)))


# Indices of a discrete process


def leading(process: Process, n: int, offset: int = 0, short: bool = False) -> Level:
    """Multiples of T // n, from 0, plus `offset` (1 in Stable Diffusion). The noisiest level is
    missed, so that a model that knows pure noise is never asked.

    short: the grid of n + 1 steps without its last, as DPM-Solver's code has it."""
    count = counted(process, n, short)
    times = np.arange(count)[::-1] * (process.steps // count) + offset
    if times[0] >= process.steps or offset < 0:
        raise UserError(
            f'leading spacing of {n} steps with offset {offset} starts at index {times[0]}, but '
            f'the schedule has 0 ... {process.steps - 1}: take a smaller offset or fewer steps'
        )
    return path(process, times[:n].astype(np.int32))


def trailing(process: Process, n: int) -> Level:
    """T, T - T/n, T - 2T/n ..., rounded, minus 1: from the noisiest level (Lin et al. 2024)."""
    counted(process, n)
    times = np.round(process.steps - np.arange(n) * (process.steps / n)) - 1
    return path(process, times.astype(np.int32))


def linspace(process: Process, n: int, short: bool = False, rounded: bool = True) -> Level:
    """T-1 to 0, both included, evenly.

    short: the grid of n + 1 steps without its last, as DPM-Solver's code has it.
    rounded: to whole indices (Nichol & Dhariwal 2021); otherwise sigma/alpha is interpolated."""
    count = counted(process, n, short)
    times = np.linspace(0, process.steps - 1, count)[::-1][:n]
    if not rounded:
        return path(process, times.astype(np.float32))
    return path(process, np.round(times).astype(np.int32))


def counted(process: Process, n: int, short: bool = False) -> int:
    """Entries of a grid of n steps, if the process has as many."""
    if process.steps is None:
        raise UserError('this spacing takes indices of a discrete process; use flow or edm instead')
    if not 1 <= n + short <= process.steps:
        raise UserError(
            f'{n} sampling steps, but the schedule has {process.steps}: '
            f'take between 1 and {process.steps - short}'
        )
    return n + short


# Levels of noise


def ramp(low: float, high: float, n: int, rho: float) -> Float[np.ndarray, 'n']:
    """n values from high to low, evenly spaced in their 1/rho-th power (Karras et al. 2022, eq.
    5)."""
    part = np.linspace(0, 1, n)
    return (high ** (1 / rho) + part * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def continuous(process: Process, n: int) -> None:
    """An error if times of a continuous process cannot be taken."""
    if process.steps is not None:
        raise UserError(
            'this spacing is for continuous processes; the process is discrete: use leading, '
            'trailing, linspace or karras'
        )
    if n < 1:
        raise UserError(f'{n} sampling steps: take at least 1')


def karras(
    process: Process,
    n: int,
    rho: float = 7.0,
    low: float | None = None,
    high: float | None = None,
) -> Level:
    """sigma/alpha along `ramp` between the ends of a discrete process (or low and high).

    The network is told the index, interpolated in log(sigma/alpha)."""
    counted(process, n)
    with jax.ensure_compile_time_eval():  # the grid is a constant, inside jit too
        table = jax.tree.map(np.asarray, process.level(jnp.arange(process.steps)))
    if float(table.alpha[-1]) == 0 and high is None:
        raise UserError(
            'Karras spacing needs a largest sigma/alpha, but this schedule ends with zero SNR: '
            'give `high`, or take trailing spacing'
        )
    logs = np.log(np.float64(table.sigma)) - np.log(np.maximum(np.float64(table.alpha), 1e-12))
    low = float(np.exp(logs[0])) if low is None else low
    high = float(np.exp(logs[-1])) if high is None else high
    ratio = ramp(low, high, n, rho)
    time = np.interp(np.log(ratio), logs, np.arange(process.steps))
    alpha = 1 / np.sqrt(1 + ratio**2)
    return ended(Level(*(jnp.asarray(x, jnp.float32) for x in (alpha, ratio * alpha, time))))


def edm(process: Process, n: int, rho: float = 7.0, low: float = 0.002) -> Level:
    """sigma from the process's highest to `low` along `ramp` (Karras et al. 2022, table 1)."""
    continuous(process, n)
    return path(process, ramp(low, process.top, n, rho).astype(np.float32))


def flow(process: Process, n: int, low: float | None = None) -> Level:
    """t from 1 to `low` evenly, then 0; by default low = 1/n, so that all n steps are equal. The
    process shifts them."""
    continuous(process, n)
    times = np.linspace(process.top, process.top / n if low is None else low, n)
    return path(process, times.astype(np.float32))


SPACINGS = {
    'leading': leading,
    'trailing': trailing,
    'linspace': linspace,
    'karras': karras,
    'edm': edm,
    'flow': flow,
}


def levels(name: str, process: Process, n: int, **fields: float) -> Level:
    """By name, with the fields of its function: levels('karras', process, 20, rho=5.0)."""
    function = SPACINGS[choose(name, SPACINGS, 'the spacing')]
    return construct(partial(function, process, n), fields, f'spacing {name!r}')
