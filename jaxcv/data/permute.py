"""A pseudo-random permutation of range(n) that is computed where it is needed, never stored.

The generalized Feistel cipher of Black & Rogaway, "Ciphers with arbitrary finite domains" (2002):
x = left * b + right with left < a, right < b and a * b >= n just large enough; rounds alternate
    left <- (left + F(right)) mod a,    right <- (right + F(left)) mod b,
each of which is invertible. The few values that land at n or above walk on along their cycle.
"""

import math

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Int, UInt32

ROUNDS = 8


def permute(position: Int[Array, 'b'], n: int, keys: UInt32[Array, 'b rounds']) -> Int[Array, 'b']:
    """Where each `position` (in [0, n)) goes under the permutation its row of `keys` chooses.

    n is static, below 2^31. Equal keys mean one permutation; the cost is that of the positions
    asked for. Jittable and vmappable.
    """
    columns = [keys[:, i] for i in range(ROUNDS)]

    def walk(x):
        return jnp.where(x >= n, _cipher(x, n, columns), x)

    x = _cipher(position.astype(jnp.uint32), n, columns)
    return jax.lax.while_loop(lambda x: jnp.any(x >= n), walk, x).astype(jnp.int32)


def permute_host(position: np.ndarray, n: int, keys: np.ndarray) -> np.ndarray:
    """`permute` in numpy, with one permutation for all positions: `keys` is uint32 [rounds]."""
    x = _cipher(position.astype(np.uint32), n, keys)
    while (outside := x >= n).any():
        x[outside] = _cipher(x[outside], n, keys)
    return x.astype(np.int64)


def _cipher(x, n, keys):
    """The permutation of range(a * b), for uint32 arrays of numpy or JAX."""
    a = np.uint32(math.isqrt(n - 1) + 1)
    b = np.uint32(-(-n // int(a)))
    left, right = x // b, x % b
    for i in range(0, ROUNDS, 2):
        left = (left + _hash(right, keys[i]) % a) % a
        right = (right + _hash(left, keys[i + 1]) % b) % b
    return left * b + right


def _hash(x, key):
    """Mixes 32 bits: multiply and xor-shift, twice (constants of the `lowbias32` search)."""
    x = x ^ key
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
