"""Data on the device: shuffled epochs, drawn by a pure function inside the step."""

from collections.abc import Callable, Mapping

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Int, Key

from jaxcv.data.batches import Batch, Held
from jaxcv.data.dataset import Dataset, arrays, numeric
from jaxcv.data.permute import ROUNDS, permute
from jaxcv.errors import UserError

Transform = Callable[[Batch, Key[Array, 'b']], Batch]


def held(
    dataset: Dataset | Mapping[str, np.ndarray],
    batch_size: int,
    transform: Transform | None = None,
) -> Held:
    """Batches of numeric data (texts are left out) that lives on the devices.

    Samples come without replacement: every epoch is a new permutation of the data, and a batch
    may begin in one epoch and end in the next. `transform(batch, keys)` augments; `keys` [b] are
    one per sample and depend on the run's data key, the step and the slot only.
    """
    data = numeric(arrays(dataset))
    n = len(next(iter(data.values()))) if data else 0
    if not 0 < n < 2**31:
        raise UserError(f'held data needs 1 to 2^31 - 1 numeric samples, got {n}')
    if batch_size < 1:
        raise UserError(f'batch_size is {batch_size}, but must be at least 1')

    def sample(data, key, step, slots):
        order, noise = jax.random.split(key)
        epoch, position = locate(step, slots, batch_size, n)
        index = permute(position, n, _round_keys(order, epoch))
        batch = jax.tree.map(lambda x: jnp.take(x, index, axis=0, mode='clip'), data)
        return batch if transform is None else transform(batch, sample_keys(noise, step, slots))

    return Held(data, sample, batch_size)


def sample_keys(
    key: Key[Array, ''], step: Int[Array, ''], slots: Int[Array, 'b']
) -> Key[Array, 'b']:
    """One key per sample, by its step and its slot in the global batch."""
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, step), slots)


def locate(
    step: Int[Array, ''], slots: Int[Array, 'b'], batch_size: int, n: int
) -> tuple[Int[Array, 'b'], Int[Array, 'b']]:
    """(epoch, position in the epoch) of slot s: step * batch_size + s divided by n.

    The product may exceed 32 bits, so it is never formed: it is built bit by bit of `batch_size`
    as quotient * n + remainder. Epochs wrap at 2^32.
    """
    step = jnp.asarray(step, jnp.uint32)
    modulus = jnp.uint32(n)
    quotient, remainder = jnp.uint32(0), jnp.uint32(0)
    for bit in f'{batch_size:b}':
        carry, remainder = _add(remainder, remainder, modulus)
        quotient = 2 * quotient + carry
        if bit == '1':
            carry, remainder = _add(remainder, step % modulus, modulus)
            quotient = quotient + carry
    total = remainder + slots.astype(jnp.uint32)
    epoch = (step // modulus) * jnp.uint32(batch_size) + quotient + total // modulus
    return epoch, (total % modulus).astype(jnp.int32)


def _add(x, y, modulus):
    """x + y, for x and y below `modulus` < 2^31, as (carry, remainder)."""
    carry = (x + y >= modulus).astype(jnp.uint32)
    return carry, x + y - carry * modulus


def _round_keys(key, epoch):
    return jax.vmap(lambda e: jax.random.bits(jax.random.fold_in(key, e), (ROUNDS,)))(epoch)
