"""What views are judged by beside their colors."""

import numpy as np
from jax import numpy as jnp

from jaxcv.cameras.view import View
from jaxcv.radiance import viewing


def test_depths_are_compared_where_both_have_a_surface():
    opacity = jnp.array([[1.0, 0.9], [0.4, 1.0]])  # the third pixel shows nothing solid
    depth = jnp.array([[2.0, 3.5], [9.0, 5.0]])
    truth = jnp.array([[2.5, 3.0], [3.0, 0.0]])  # the fourth has no surface
    seen = View(jnp.zeros((2, 2, 3)), opacity, depth)
    np.testing.assert_allclose(viewing.depth_error(seen, truth), 0.5)
    assert viewing.depth_error(seen, jnp.zeros((2, 2))) == 0
