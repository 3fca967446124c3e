"""Views between cameras, and squares of neighboring pixels."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv import cameras as optics
from jaxcv.cameras import inverse, look_at, make, pixel_grid
from jaxcv.radiance import patches

KEY = jax.random.key(0)
POINT = jnp.array([0.3, -0.2, 0.5])


def around():
    """Five cameras that look at a point, from different distances."""
    ways = jax.random.normal(KEY, (5, 3)) * jnp.array([1, 1, 0.3])
    ways = ways / jnp.linalg.norm(ways, axis=-1, keepdims=True)
    eyes = POINT + jnp.linspace(2.0, 3.0, 5)[:, None] * ways
    return make(look_at(eyes, POINT, jnp.array([0.0, 0.0, 1.0])), 20.0, 16, 12)


def test_views_between_cameras_look_where_these_look():
    cameras = around()
    views = jax.jit(patches.between, static_argnums=2)(cameras, KEY, 200)
    back = np.asarray(inverse(views.pose))
    away = POINT - back[..., 3]
    distance = np.linalg.norm(away, axis=-1)
    np.testing.assert_allclose(back[..., 2], away / distance[:, None], atol=1e-3)
    assert distance.min() > 1.99 and distance.max() < 3.01 and np.ptp(distance) > 0.5
    np.testing.assert_allclose(
        np.einsum('nij,nkj->nik', back[..., :3], back[..., :3]),
        np.broadcast_to(np.eye(3), (200, 3, 3)),
        atol=1e-4,
    )
    # Each lies in the plane of the point and two of the cameras.
    eyes = np.asarray(inverse(cameras.pose))[..., 3] - POINT
    pairs = np.array([np.cross(a, b) for a in eyes for b in eyes if np.abs(a - b).max() > 0])
    pairs /= np.linalg.norm(pairs, axis=-1, keepdims=True)
    assert np.abs(pairs @ (away / distance[:, None]).T).min(0).max() < 1e-3


def test_patches_are_squares_of_pixels():
    cameras = around()
    found = patches.rays(cameras, KEY, 4)
    assert found.origins.shape == (5, 16, 3)
    whole = optics.rays(cameras, pixel_grid(16, 12).reshape(-1, 2))
    corners = set()
    for i in range(5):
        gaps = np.linalg.norm(whole.directions[i][:, None] - found.directions[i], axis=-1)
        places, columns = np.divmod(gaps.argmin(0), 16)
        assert gaps.min(0).max() < 1e-5
        np.testing.assert_array_equal(places, places[0] + np.repeat(np.arange(4), 4))
        np.testing.assert_array_equal(columns, columns[0] + np.tile(np.arange(4), 4))
        corners.add((int(places[0]), int(columns[0])))
    assert len(corners) > 2
