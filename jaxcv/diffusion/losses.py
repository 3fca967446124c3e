"""What a network is trained on: squared errors in the space of its output, per sample.

lesson = losses.lesson(process, x0, keys)
loss = losses.simple(parameterization, network, lesson, condition).mean()

The parameterization makes it the loss of the papers: with 'eps' that of DDPM, with 'flow' and
`schedules.flow` that of flow matching, with 'edm' and `schedules.edm` that of EDM, whose weight is
one in the space of the output.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxcv.diffusion.likelihood import mean, step_bits
from jaxcv.diffusion.parameterization import Network, Parameterization, split
from jaxcv.diffusion.process import Level, Process, Time, noised, snr, variances
from jaxcv.errors import UserError, choose, construct
from jaxcv.ops.noise import normal

Images = Float[Array, 'b *s']
Weighting = Callable[[Level, Parameterization], Float[Array, 'b']]


class Lesson(NamedTuple):
    """Images, noisy at random times."""

    x0: Images
    noise: Images
    x: Images
    level: Level
    t: Time


def lesson(process: Process, x0: Images, keys: Key[Array, 'b']) -> Lesson:
    """A time of the process and noise for each sample."""
    time_keys, noise_keys = (
        jax.vmap(lambda key, i=i: jax.random.fold_in(key, i))(keys) for i in (0, 1)
    )
    t, noise = process.draw(time_keys), normal(noise_keys, x0.shape[1:])
    level = process.level(t)
    return Lesson(x0, noise, noised(x0, noise, level), level, t)


def even(level: Level, parameterization: Parameterization) -> Float[Array, 'b']:
    """1 in the space of the output."""
    return jnp.ones_like(level.alpha)


def min_snr(limit: float = 5.0) -> Weighting:
    """min(snr, limit) on the error of x0 (Hang et al. 2023): on eps over snr, on v over snr + 1."""

    def weight(level, parameterization):
        return jnp.minimum(snr(level), limit) / parameterization.gain(level)

    return weight


def p2(power: float = 1.0, offset: float = 1.0) -> Weighting:
    """1 / (offset + snr)^power on the error of eps (Choi et al. 2022)."""

    def weight(level, parameterization):
        ratio = snr(level)
        return ratio / (offset + ratio) ** power / parameterization.gain(level)

    return weight


def edm(sigma_data: float = 0.5) -> Weighting:
    """(r^2 + sigma_data^2) / (r sigma_data)^2 on the error of x0, r = sigma/alpha (Karras et al.
    2022, table 1); 1 where the parameterization is edm of the same sigma_data."""

    def weight(level, parameterization):
        return (1 / sigma_data**2 + snr(level)) / parameterization.gain(level)

    return weight


WEIGHTINGS = {'even': lambda: even, 'min_snr': min_snr, 'p2': p2, 'edm': edm}


def weighting(name: str, **fields: float) -> Weighting:
    """By name, with the fields of its function: weighting('min_snr', limit=5.0)."""
    function = WEIGHTINGS[choose(name, WEIGHTINGS, 'the weighting')]
    return construct(function, fields, f'weighting {name!r}')


def simple(
    parameterization: Parameterization,
    network: Network,
    lesson: Lesson,
    condition: PyTree = None,
    weighting: Weighting = even,
) -> Float[Array, 'b']:
    """weight * |output - target|^2, the mean over pixels."""
    output, _ = split(answer(parameterization, network, lesson, condition), lesson.x, False)
    return squared(parameterization, output, lesson, weighting)


def hybrid(
    process: Process,
    parameterization: Parameterization,
    network: Network,
    lesson: Lesson,
    condition: PyTree = None,
    weighting: Weighting = even,
    scale: float = 1e-3,
) -> Float[Array, 'b']:
    """simple + scale * T * the bound's term at t in bits per dimension, which teaches only the
    variance (Nichol & Dhariwal 2021, eq. 16). The network has twice the channels."""
    if process.steps is None:
        raise UserError('a learned variance needs a discrete process, such as schedules.cosine()')
    both = answer(parameterization, network, lesson, condition)
    output, spread = split(both, lesson.x, True)
    fixed = parameterization.predict(jax.lax.stop_gradient(output), lesson.x, lesson.level)
    bits = step_bits(
        lesson.x0,
        lesson.x,
        fixed._replace(spread=spread),
        lesson.level,
        process.level(lesson.t - 1),
        variances(process.level(1), process.level(0))[0],
        'learned',
    )
    return squared(parameterization, output, lesson, weighting) + scale * process.steps * bits


def answer(
    parameterization: Parameterization, network: Network, lesson: Lesson, condition: PyTree
) -> Float[Array, 'b *s']:
    seen = parameterization.scale_input(lesson.x, lesson.level)
    return network(seen, lesson.level.time, condition)


def squared(
    parameterization: Parameterization, output: Images, lesson: Lesson, weighting: Weighting
) -> Float[Array, 'b']:
    target = parameterization.target(lesson.x0, lesson.noise, lesson.level)
    weight = weighting(lesson.level, parameterization)
    return weight * mean(jnp.square(output - target))
