"""Images of vectors at other sizes, as products with two small matrices."""

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

SHARPNESS = -0.75  # of torch's bicubic


def area(x: Float[Array, 'b h w d'], size: int) -> Float[Array, 'b size size d']:
    """Means over `size` intervals a side, which overlap where they do not divide it."""
    return resized(x, area_matrix(x.shape[1], size), area_matrix(x.shape[2], size))


def bicubic(x: Float[Array, 'b h w d'], height: int, width: int) -> Float[Array, 'b h2 w2 d']:
    """Cubic convolution at the centers of the pixels, the pixels at the edge repeated."""
    return resized(x, cubic_matrix(x.shape[1], height), cubic_matrix(x.shape[2], width))


def resized(x, rows, columns):
    """The matrices are [new old]; one that changes nothing is not multiplied by."""
    if len(rows) != x.shape[1]:
        x = jnp.einsum('ph,bhwd->bpwd', jnp.asarray(rows, x.dtype), x, precision='highest')
    if len(columns) != x.shape[2]:
        x = jnp.einsum('qw,bpwd->bpqd', jnp.asarray(columns, x.dtype), x, precision='highest')
    return x


def area_matrix(old: int, new: int) -> np.ndarray:
    """Row i is the mean over floor(i old / new) <= j < ceil((i + 1) old / new)."""
    i, j = np.arange(new)[:, None], np.arange(old)
    inside = (j >= i * old // new) & (j < -((-(i + 1) * old) // new))
    return inside / inside.sum(1, keepdims=True)


def cubic_matrix(old: int, new: int) -> np.ndarray:
    """Row i has the weights of the four pixels around (i + 1/2) old / new - 1/2."""
    place = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(place).astype(int)
    matrix = np.zeros((new, old))
    for offset in range(-1, 3):
        weight = kernel(np.abs(place - first - offset))
        np.add.at(matrix, (np.arange(new), np.clip(first + offset, 0, old - 1)), weight)
    return matrix


def kernel(x: np.ndarray) -> np.ndarray:
    """Keys' cubic for distances below 2."""
    a = SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, far)
