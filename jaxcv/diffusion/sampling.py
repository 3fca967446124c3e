"""Sampling: one scan over levels, from noise to data. The methods are in `samplers`.

Whatever the process, a method sees levels (alpha, sigma) only. Each sample has its own key, so a
seed gives the same image whatever the batch size and the number of devices.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.diffusion.parameterization import Denoiser, Images, Prediction
from jaxcv.diffusion.process import Level, Process
from jaxcv.errors import UserError
from jaxcv.ops.noise import normal

Keys = Key[Array, 'b']


class Step(NamedTuple):
    """What callbacks see of a step."""

    index: Int[Array, '']  # 0, 1, ... n-1
    now: Level
    after: Level
    x: Images  # at `now`
    prediction: Prediction  # what was believed about x


class Sampler(NamedTuple):
    """A method.

    start   x -> memory: any pytree; () where nothing is remembered between steps
    step    (denoise, x, memory, now, after, keys) -> (x after, memory, Prediction at x)
    """

    start: Callable[[Images], PyTree]
    step: Callable[
        [Denoiser, Images, PyTree, Level, Level, Keys], tuple[Images, PyTree, Prediction]
    ]


Change = Callable[[Step, Images, Keys], Images]


def sample(
    sampler: Sampler,
    denoise: Denoiser,
    levels: Level,
    x: Images,
    keys: Keys,
    *,
    change: Change | None = None,
    watch: Callable[[Step], PyTree] | None = None,
) -> tuple[Images, PyTree]:
    """Takes x [b ...] along levels [n+1] in n steps: (x at the last level, what `watch` kept).

    change: (step, x after, keys) -> x after, to put constraints on the way.
    watch: step -> what to keep of it, such as `lambda step: step.prediction.x0`.
    """
    if jnp.ndim(levels.sigma) != 1 or len(levels.sigma) < 2:
        raise UserError(
            f'levels are {jnp.shape(levels.sigma)}, but a sampler takes n + 1 of them for n steps: '
            'make them with jaxcv.diffusion.spacing'
        )
    if keys.shape != x.shape[:1]:
        raise UserError(f'{keys.shape} keys for {len(x)} samples: give one key per sample')

    def body(carry, inputs):
        x, memory = carry
        index, now, after = inputs
        own, others = stream(keys, 2 * index), stream(keys, 2 * index + 1)
        new, memory, prediction = sampler.step(denoise, x, memory, now, after, own)
        step = Step(index, now, after, x, prediction)
        if change is not None:
            new = change(step, new, others)
        return (new, memory), None if watch is None else watch(step)

    indices = jnp.arange(len(levels.sigma) - 1)
    (x, _), watched = jax.lax.scan(body, (x, sampler.start(x)), (indices, *ends(levels)))
    return x, watched


def ends(levels: Level) -> tuple[Level, Level]:
    """(now, after) of every step along levels [n+1]: n of each."""
    return Level(*(v[:-1] for v in levels)), Level(*(v[1:] for v in levels))


def stream(keys: Keys, number: Int[Array, ''] | int) -> Keys:
    """Other keys, one per sample: independent for every number."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


def prior(where: Process | Level, shape: tuple[int, ...], keys: Keys) -> Float[Array, 'b *shape']:
    """Noise to begin with: sigma N(0, 1) at the noisiest level of a process, or the first of
    several. Samples of this `shape`, one per key, which must not be those given to `sample`'s
    steps: `stream` makes others."""
    level = where if isinstance(where, Level) else where.level(where.top)
    return jnp.ravel(level.sigma)[0] * normal(keys, shape)
