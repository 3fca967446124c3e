"""The few samples of each ray that matter, from all rays, in one array of a fixed capacity.

Samples lie ray by ray, from near to far, and what is left of the capacity is padding. Capacity is
global: rays that need many samples have them from rays that need few.
"""

from dataclasses import dataclass, field

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcv.radiance import volume
from jaxcv.radiance.volume import Rendered

WORD = 32  # bits


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Packed:
    """n samples of r rays."""

    ray: Int[Array, 'n']  # ascending; r where there is no sample
    rank: Int[Array, 'n']  # which of its ray's samples this is
    start: Float[Array, 'n']  # t
    end: Float[Array, 'n']
    valid: Bool[Array, 'n']
    lost: Int[Array, 'r']  # samples of each ray that the capacity did not hold: the farthest
    longest: int = field(metadata={'static': True})  # no ray has more samples

    @property
    def center(self) -> Float[Array, 'n']:
        return (self.start + self.end) / 2


def pack(mask: Bool[Array, 'r s'], edges: Float[Array, 'r s+1'], capacity: int) -> Packed:
    """The intervals of each ray that `mask` marks. Where they are more than `capacity`, samples of
    the last rays are `lost`."""
    rays, steps = mask.shape
    index, total = marked(mask.reshape(-1), capacity)
    count = mask.sum(axis=-1, dtype=jnp.int32)
    first = jnp.cumsum(count) - count
    slot = jnp.arange(capacity)
    valid = slot < total
    ray, step = index // steps, index % steps
    return Packed(
        ray=jnp.where(valid, ray, rays),
        rank=jnp.where(valid, slot - first[ray], 0),
        start=jnp.where(valid, edges[ray, step], 0.0),
        end=jnp.where(valid, edges[ray, step + 1], 0.0),
        valid=valid,
        lost=count - jnp.clip(capacity - first, 0, count),
        longest=steps,
    )


def marked(mask: Bool[Array, 'm'], capacity: int) -> tuple[Int[Array, 'capacity'], Int[Array, '']]:
    """The places of the first `capacity` true values in order, 0 where there are no more; and how
    many there are in all.

    Sums run over words of bits, and every slot looks for its bit in its word: far less work than
    that of `jnp.nonzero`, which sums and scatters all values.
    """
    bits = jnp.pad(mask, (0, -len(mask) % WORD)).reshape(-1, WORD)
    powers = jnp.uint32(1) << jnp.arange(WORD, dtype=jnp.uint32)
    words = jnp.where(bits, powers, 0).sum(axis=-1, dtype=jnp.uint32)
    count = jax.lax.population_count(words).astype(jnp.int32)
    first = jnp.cumsum(count) - count
    slot, total = jnp.arange(capacity), first[-1] + count[-1]
    # The slot of a word's first bit names the word; those of its other bits repeat the name.
    word = jnp.zeros(capacity, jnp.int32)
    word = word.at[jnp.where(count > 0, first, capacity)].max(
        jnp.arange(len(words), dtype=jnp.int32), mode='drop'
    )
    word = jax.lax.cummax(word)
    place = word * WORD + nth_bit(words[word], slot - first[word])
    return jnp.where(slot < total, place, 0), total


def nth_bit(words: Int[Array, 'n'], nth: Int[Array, 'n']) -> Int[Array, 'n']:
    """Where the bit number `nth` (0 is the lowest) among those that are set lies in each word."""
    place = jnp.zeros_like(nth)
    for half in (16, 8, 4, 2, 1):
        low = jax.lax.population_count(words & jnp.uint32((1 << half) - 1)).astype(jnp.int32)
        upper = nth >= low
        nth = jnp.where(upper, nth - low, nth)
        place = jnp.where(upper, place + half, place)
        words = jnp.where(upper, words >> half, words)
    return place


def points(
    packed: Packed, origins: Float[Array, 'r 3'], directions: Float[Array, 'r 3']
) -> tuple[Float[Array, 'n 3'], Float[Array, 'n 3']]:
    """Where the centers of the samples lie, and in which direction they are seen."""
    seen = directions[packed.ray]  # padding takes the last ray's
    return origins[packed.ray] + packed.center[:, None] * seen, seen


def before(packed: Packed, x: Float[Array, 'n']) -> Float[Array, 'n']:
    """For every sample the sum of x over the samples of its ray that are nearer.

    log2(longest) passes that add what lies 1, 2, 4 ... samples nearer, if it is of the same ray
    (Hillis & Steele 1986): no ray's sum is the difference of two large ones, as it would be with
    one sum over the pack; and memory for the pack is enough, which [rays, longest] would exceed.
    """
    total, reach = _nearer(packed, x, 1), 1
    while reach < packed.longest:
        total = total + _nearer(packed, total, reach)
        reach *= 2
    return total


def per_ray(packed: Packed, x: Float[Array, 'n *c']) -> Float[Array, 'r *c']:
    """Sums over the samples of each ray."""
    return jax.ops.segment_sum(x, packed.ray, len(packed.lost), indices_are_sorted=True)


def render(
    packed: Packed,
    density: Float[Array, 'n'],
    values: Float[Array, 'n c'],
    background: Float[Array, 'r c'] | Float[Array, 'c'] | None = None,
) -> Rendered:
    """`volume.render` of packed samples: between them space is empty. Weights are [n]; padding
    weighs nothing, whatever its density and values are."""
    width = packed.end - packed.start
    optical = jnp.where(packed.valid, density * width, 0.0)
    passed = before(packed, optical)
    weights = jnp.exp(-passed) * -jnp.expm1(-optical)
    columns = [optical[:, None], (weights * packed.center)[:, None]]
    visible = jnp.where(packed.valid[:, None], values, 0.0)
    sums = per_ray(packed, jnp.concatenate([*columns, weights[:, None] * visible], axis=-1))
    total, depth, color = sums[:, 0], sums[:, 1], sums[:, 2:]
    opacity = -jnp.expm1(-total)
    half = volume.half_depth(total)[packed.ray]
    reached = volume.crossing(packed.start, width, optical, passed, half)
    median = jax.ops.segment_max(reached, packed.ray, len(total), indices_are_sorted=True)
    return Rendered(
        values=color if background is None else volume.over(color, opacity, background),
        opacity=opacity,
        depth=volume.normalized(depth, opacity),
        median=jnp.maximum(median, 0.0),
        weights=weights,
    )


def _nearer(packed: Packed, x: Float[Array, 'n'], by: int) -> Float[Array, 'n']:
    """x of the sample that is `by` samples nearer; 0 where the ray has none."""
    return jnp.where(packed.rank >= by, jnp.pad(x, (by, 0))[: len(x)], 0.0)
