"""Curves inside the state: a fixed number of slots, spaced evenly in the logarithm of time, so
that a run of any length keeps its whole history."""

from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

OCTAVE, OCTAVES = 12, 28  # slots for each doubling of the number of entries; how many doublings


@struct.dataclass
class History:
    """Sums and numbers of entries in each slot, for each of some named curves."""

    sums: dict[str, Float[Array, 'slots']]
    counts: dict[str, Float[Array, 'slots']]
    entries: Int[Array, '']


def empty(*names: str) -> History:
    def zeros():
        return {name: jnp.zeros(OCTAVE * OCTAVES) for name in names}

    return History(zeros(), zeros(), jnp.int32(0))


def note(history: History, **entry: tuple[Float[Array, ''], Float[Array, '']]) -> History:
    """Adds (sum, count) to every curve named in `entry`; a count of 0 leaves a gap."""
    slot = jnp.floor(OCTAVE * jnp.log2(history.entries + 1.0)).astype(jnp.int32)
    sums, counts = dict(history.sums), dict(history.counts)
    for name, (total, count) in entry.items():
        sums[name] = sums[name].at[slot].add(total)
        counts[name] = counts[name].at[slot].add(count)
    return History(sums, counts, history.entries + 1)


def curve(history: History, name: str) -> tuple[Float[Array, 'k'], Float[Array, 'k']]:
    """(number of the entry, from 1; mean) of the slots that hold anything. On the host."""
    sums, counts = jnp.asarray(history.sums[name]), jnp.asarray(history.counts[name])
    kept = jnp.flatnonzero(counts)
    return 2 ** ((kept + 0.5) / OCTAVE), sums[kept] / counts[kept]
