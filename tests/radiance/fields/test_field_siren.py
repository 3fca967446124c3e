"""The distribution of a network of sines at its start."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.radiance.fields.siren import Sine


def test_variances_stay_at_any_depth(optimized):
    """Arguments of the sines are normal of variance about 1, their values an arcsine distribution
    of variance about 1/2 (theorem 1.8). Exactly: the sine of N(0, s) has variance (1 - e^-2s) / 2,
    and sums with weights of variance 2 / (n frequency^2) make s = 2 v of it."""
    width, x = 512, jax.random.uniform(jax.random.key(0), (2000, 3), minval=-1.0)
    v = 0.5
    for depth in range(6):
        layer = Sine(width, first=depth == 0)
        params = layer.init(jax.random.key(depth), x)
        argument = 30 * (x @ params['params']['dense']['kernel'])
        x = layer.apply(params, x)
        if depth:
            assert 0.75 < np.var(argument) < 1.1
            v = (1 - np.exp(-4 * v)) / 2
        np.testing.assert_allclose(np.var(x), v, rtol=0.05)
    assert abs(np.mean(x)) < 0.02


def test_the_first_layer_reaches_many_periods():
    x = jnp.linspace(-1, 1, 400)[:, None]
    layer = Sine(256, first=True)
    y = layer.apply(layer.init(jax.random.key(0), x), x)
    turns = np.abs(np.diff(np.sign(np.diff(y, axis=0)), axis=0)).sum(0) / 2
    # A weight w of [-1, 1] passes 60 |w| / pi extremes in [-1, 1].
    np.testing.assert_allclose(turns.mean(), 30 / np.pi, rtol=0.15)
