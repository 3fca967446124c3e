"""Random bits are those of the standard, and of JAX elsewhere."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.extend.random import threefry_2x32

from jaxcv.ops.threefry import threefry2x32

# Known answers of the authors' library (Random123): key, counter, what comes of them.
ANSWERS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(('key', 'counter', 'answer'), ANSWERS)
def test_known_answers(key, counter, answer):
    found = threefry2x32(*(jnp.uint32(word) for word in (*key, *counter)))
    assert tuple(int(word) for word in found) == answer


@pytest.mark.parametrize(('key', 'counter', 'answer'), ANSWERS)
def test_jax_computes_it_so(key, counter, answer):
    key, counter = jnp.asarray(key, jnp.uint32), jnp.asarray(counter, jnp.uint32)
    assert tuple(np.asarray(jax.jit(threefry_2x32)(key, counter))) == answer


def test_one_kernel_and_no_loop():
    """What JAX draws with is what is written here: its own would be a loop."""
    text = jax.jit(lambda key: jax.random.bits(key, (8,))).lower(jax.random.key(0)).as_text()
    assert 'stablehlo.while' not in text
