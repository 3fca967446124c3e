"""Classifier-free guidance of logits, u + g (c - u): g = 1 is none, and nothing is computed for it.

With guidance, every call of the network has twice the rows: those that are told, then the same
told nothing.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv.errors import UserError
from jaxcv.tokens import told as told_of
from jaxcv.tokens.told import Told

Scale = float | Float[Array, '']


def guides(scale: Scale) -> bool:
    """Whether the second branch is needed: not where the scale is a plain 1."""
    return not (isinstance(scale, int | float) and scale == 1)


def branches(told: Told | None, scale: Scale, num_classes: int | None) -> Told | None:
    """What to tell the network: `told`, and with guidance nothing, after it."""
    if not guides(scale):
        return told
    if told is None or all(x is None for x in told):
        raise UserError('guidance needs a label or a text to guide to; set its scale to 1')
    return jax.tree.map(lambda *x: jnp.concatenate(x), told, told_of.null(told, num_classes))


def rows(x: Array, scale: Scale) -> Array:
    """x for every branch."""
    return jnp.concatenate([x, x]) if guides(scale) else x


def mixed(
    logits: Float[Array, 'rows ...'], scale: Scale, now: Scale | None = None
) -> Float[Array, 'b ...']:
    """u + g (c - u), with g = `now` where the scale of this step is not that of all."""
    if not guides(scale):
        return logits
    own, free = jnp.split(logits, 2)
    return free + (scale if now is None else now) * (own - free)


def ramp(scale: Scale, steps: int) -> Float[Array, 'steps']:
    """From no guidance at the first step to all of it at the last. In the terms of VAR,
    (1 + t) c - t u, t rises from 0 to scale - 1."""
    return 1 + (scale - 1) * jnp.arange(steps) / max(steps - 1, 1)
