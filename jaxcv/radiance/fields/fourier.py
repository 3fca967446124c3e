"""Random Fourier features: a kernel whose width is chosen (Tancik et al. 2020)."""

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float


def frequencies(axes: int, count: int, scale: float, seed: int = 0) -> np.ndarray:
    """Rows of N(0, scale^2 I), [count axes] float32: a constant of the seed, not a parameter."""
    return np.random.default_rng(seed).normal(0, scale, (count, axes)).astype(np.float32)


def fourier(x: Float[Array, '*s d'], frequencies: Float[Array, 'm d']) -> Float[Array, '*s 2*m']:
    """cos(2 pi B x), then sin(2 pi B x): the product of two encodings divided by m tends to
    exp(-2 pi^2 scale^2 |x - y|^2)."""
    # Angles of high frequencies need all the digits, also where products are in half precision.
    angles = 2 * jnp.pi * jnp.matmul(x, frequencies.T.astype(x.dtype), precision='highest')
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)
