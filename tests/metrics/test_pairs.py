"""PSNR against its definition."""

import numpy as np
from jax import numpy as jnp

from jaxcv.metrics import psnr


def test_values_in_closed_form():
    x = jnp.zeros((3, 4, 4, 2))
    y = jnp.stack([x[0], x[0] + 0.1, x[0].at[:2].set(1.0)])
    np.testing.assert_allclose(psnr(x, y), [100, 20, 10 * np.log10(2)], rtol=1e-5)
    np.testing.assert_allclose(psnr(2 * x - 1, 2 * y - 1, span=2.0), psnr(x, y), rtol=1e-5)
