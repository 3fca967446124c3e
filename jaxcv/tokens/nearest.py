"""The nearest row of a codebook, the rows of codes, and sums over the vectors of each code.

||z - e||^2 = ||z||^2 - 2 <z, e> + ||e||^2, where the first term is the same for every row: the
search is a matrix product, in blocks of vectors, so that not all scores are ever held.
"""

from collections.abc import Callable

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from jaxcv.nn.cached import joined

# Scores of a block: what the cache of a core holds, and what keeps a card busy.
SCORES = {'cpu': 2**18, 'other': 2**24}


def nearest(
    z: Float[Array, '*s d'], codebook: Float[Array, 'k d'], block: int | None = None
) -> Int[Array, '*s']:
    """The row at the least distance, the first of equals; in float32.

    block: how many vectors are compared at once; by default as many as give 2^18 scores on a CPU,
      2^24 elsewhere."""
    z, codebook = (jax.lax.stop_gradient(x).astype(jnp.float32) for x in (z, codebook))
    # Half the square is one more column of the product, rather than a pass over the scores.
    codebook = joined(codebook, -jnp.square(codebook).sum(-1, keepdims=True) / 2)

    def search(z):
        return first_largest(jnp.matmul(codebook, joined(z, 1.0).T, precision='highest'))

    block = block or block_of(len(codebook))
    return by_blocks(search, z.reshape(-1, z.shape[-1]), block).reshape(z.shape[:-1])


def block_of(codes: int) -> int:
    """How many vectors are a block."""
    scores = SCORES['cpu' if jax.default_backend() == 'cpu' else 'other']
    return max(1, scores // codes)


def first_largest(scores: Float[Array, 'k n']) -> Int[Array, 'n']:
    """argmax of columns, as two reductions over rows, which XLA's CPU backend vectorizes."""
    index = jax.lax.broadcasted_iota(jnp.int32, scores.shape, 0)
    # Where a column is not a number nothing equals its largest: the last row, as good as any.
    return jnp.where(scores == scores.max(0), index, len(scores) - 1).min(0)


def by_blocks(
    function: Callable[[Float[Array, 'm d']], Int[Array, 'm']], x: Float[Array, 'n d'], block: int
) -> Int[Array, 'n']:
    """function of all rows, `block` of them at a time."""
    whole = len(x) - len(x) % block
    if len(x) <= block:
        return function(x)
    found = jax.lax.map(function, x[:whole].reshape(-1, block, x.shape[-1])).reshape(-1)
    return found if whole == len(x) else jnp.concatenate([found, function(x[whole:])])


@jax.custom_vjp
def rows(codebook: Float[Array, 'k d'], codes: Int[Array, '*s']) -> Float[Array, '*s d']:
    """codebook[codes], whose gradient is `sums`."""
    return codebook[codes]


def rows_forward(codebook, codes):
    return codebook[codes], (codes, codebook)


def rows_backward(residuals, gradient):
    codes, codebook = residuals
    flat = gradient.reshape(-1, gradient.shape[-1])
    return sums(flat, codes.reshape(-1), len(codebook)).astype(codebook.dtype), None


rows.defvjp(rows_forward, rows_backward)


def sums(
    vectors: Float[Array, 'n d'], codes: Int[Array, 'n'], count: int
) -> Float[Array, 'count d']:
    """For each of `count` codes the sum of its vectors, in float32.

    A CPU adds them one by one; where adding to one place at once is slow and in any order, it is
    a matrix product with the codes as columns of zeros and ones."""
    vectors = vectors.astype(jnp.float32)
    return jax.lax.platform_dependent(
        vectors,
        codes,
        cpu=lambda vectors, codes: scattered(vectors, codes, count),
        default=lambda vectors, codes: multiplied(vectors, codes, count),
    )


def scattered(vectors, codes, count):
    return jnp.zeros((count, vectors.shape[-1])).at[codes].add(vectors)


def multiplied(vectors, codes, count):
    """In blocks, as in `nearest`."""
    block = min(len(codes), block_of(count))
    pad = -len(codes) % block
    # A code that there is not has no one in its column.
    codes = jnp.pad(codes, (0, pad), constant_values=count).reshape(-1, block)
    vectors = jnp.pad(vectors, ((0, pad), (0, 0))).reshape(-1, block, vectors.shape[-1])

    def add(total, part):
        codes, vectors = part
        ones = (jnp.arange(count)[:, None] == codes).astype(jnp.float32)
        return total + jnp.matmul(ones, vectors, precision='highest'), None

    return jax.lax.scan(add, jnp.zeros((count, vectors.shape[-1])), (codes, vectors))[0]
