"""How alike two networks see the same images.

Linear centered kernel alignment (Kornblith et al. 2019, eq. 3): for centered features X [n p],
Y [n q] of the same n samples,

    CKA = ||Yᵀ X||² / (||Xᵀ X|| ||Yᵀ Y||)        (Frobenius norms)

is 1 for features equal up to rotation and scale, and 0 for unrelated ones. As sums over samples it
adds over batches: what is needed are the means and the (uncentered) products.
"""

from collections.abc import Mapping

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float


def alignment_sums(
    x: Float[Array, 'n p'], y: Float[Array, 'n q'], valid: Bool[Array, 'n']
) -> dict[str, Array]:
    """Sums over the valid samples from which `alignment` is computed."""
    weight = valid.astype(jnp.float32)
    x, y = x * weight[:, None], y * weight[:, None]
    return {
        'count': weight.sum(),
        'x': x.sum(0),
        'y': y.sum(0),
        'xx': x.T @ x,
        'yy': y.T @ y,
        'xy': x.T @ y,
    }


def alignment(sums: Mapping[str, np.ndarray]) -> float:
    """Linear CKA in [0, 1]."""

    def norm(a, b):
        means = np.outer(sums[a], sums[b]) / sums['count']
        return np.linalg.norm(sums[a + b] - means)

    own = norm('x', 'x') * norm('y', 'y')
    return float(norm('x', 'y') ** 2 / max(own, np.finfo(np.float32).tiny))
