"""Learning-rate schedules: pure functions of the step.

    lr(t) = lr · min(1, (t + 1) / (warmup + 1)) · shape(t)

The rate rises linearly over the first `warmup` steps, from a value above zero, so that no step is
lost. `steps` counts the warm-up in: with p = (t - warmup) / (steps - warmup), clipped to [0, 1],

    constant   shape = 1
    cosine     shape = end + (1 - end) · (1 + cos πp) / 2
    linear     shape = 1 + (end - 1) · p
    step       shape = gamma ^ ⌊t / every⌋
    multistep  shape = gamma ^ (number of milestones m ≤ t)
"""

from collections.abc import Sequence

import optax
from jax import numpy as jnp

from jaxcv.errors import UserError, choose

NAMES = ('constant', 'cosine', 'linear', 'step', 'multistep')


def schedule(
    lr: float,
    *,
    name: str = 'constant',
    steps: int,
    warmup: int = 0,
    end: float = 0.0,
    every: int = 0,
    gamma: float = 0.1,
    milestones: Sequence[int] = (),
) -> optax.Schedule:
    """The rate as a function of the step (int32 scalar or array, from 0), float32.

    `end` is the final factor of cosine and linear; `every` and `gamma` belong to step;
    `milestones` (steps from the start of the run) and `gamma` to multistep. A run that is shorter
    than its warm-up (to try a config for a few steps) ends on the way up."""
    choose(name, NAMES, 'optim.schedule')
    if warmup < 0:
        raise UserError(f'optim.warmup is {warmup}, but must not be negative')
    if name == 'step' and every < 1:
        raise UserError('optim.schedule=step needs optim.every, the steps between two decays')
    if name == 'multistep' and not milestones:
        raise UserError('optim.schedule=multistep needs optim.milestones, the steps of the decays')

    def shape(t):
        if name == 'constant':
            return 1.0
        if name == 'step':
            return gamma ** (t // every)
        if name == 'multistep':
            return gamma ** jnp.sum(t[..., None] >= jnp.array(milestones), axis=-1)
        p = jnp.clip((t - warmup) / max(steps - warmup, 1), 0, 1)
        if name == 'cosine':
            return end + (1 - end) * (1 + jnp.cos(jnp.pi * p)) / 2
        return 1 + (end - 1) * p

    def rate(t):
        t = jnp.asarray(t)
        return jnp.float32(lr * jnp.minimum(1.0, (t + 1) / (warmup + 1)) * shape(t))

    return rate
