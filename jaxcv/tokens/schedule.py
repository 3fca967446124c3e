"""How much is still unknown after a part r of the way: from 1 at r = 0 to 0 at r = 1."""

import math

from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.errors import UserError, choose

# Chang et al. (2022), section 3.3 and appendix; arccos as in Besnier et al. (2025).
SCHEDULES = {
    'cosine': lambda r: jnp.cos(r * math.pi / 2),
    'linear': lambda r: 1 - r,
    'square': lambda r: 1 - r**2,
    'cubic': lambda r: 1 - r**3,
    'root': lambda r: 1 - jnp.sqrt(r),
    'arccos': lambda r: jnp.arccos(r) * (2 / math.pi),
}
# What rounding may take from a product that is a whole number.
ROUNDING = 1e-6


def unknown(name: str, r: Float[Array, '*s']) -> Float[Array, '*s']:
    """The part that is unknown at r, by the schedule of this name."""
    return SCHEDULES[choose(name, SCHEDULES, 'the schedule of masks')](r)


def left(
    name: str, step: Int[Array, ''], steps: int, start: Int[Array, 'b'], now: Int[Array, 'b']
) -> Int[Array, 'b']:
    """How many of `now` unknown tokens stay unknown after step number `step` (from 0) of `steps`,
    where `start` were unknown at first: clip(floor(start * unknown(r)), 1, now - 1), with
    r = (step + 1) / steps. So every step decides at least one, and the last decides the rest."""
    part = unknown(name, (step + 1) / steps)
    count = jnp.floor(start * (part + ROUNDING)).astype(int)
    return jnp.maximum(jnp.minimum(jnp.maximum(count, 1), now - 1), 0)


def check(steps: int, length: int) -> None:
    if not 1 <= steps <= length:
        raise UserError(
            f'{steps} steps for {length} tokens: each step decides at least one token, so choose '
            f'between 1 and {length} steps'
        )
