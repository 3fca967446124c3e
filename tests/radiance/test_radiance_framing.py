"""Pixels as rays, and boxes that photographs look at or past."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import inverse, look_at, make, pixel_grid, rays
from jaxcv.errors import UserError
from jaxcv.radiance import framing

EYES = 3.0 * np.float32([[1, 0, 0], [0, -1, 0], [0.6, 0, 0.8], [0, 0.6, 0.8]])
WHERE = jnp.array([0.2, -0.1, 0.3])


def cameras(target=WHERE, eyes=EYES):
    poses = look_at(jnp.asarray(eyes) + target, target, jnp.array([0, 0, 1.0]))
    return make(poses, 8.0, 5, 4)


def test_places_are_pixels_row_by_row():
    places = jnp.array([0, 4, 5, 19, 20, 67])
    found, frame = framing.seen(cameras(), places)
    np.testing.assert_array_equal(frame, [0, 0, 0, 0, 1, 3])
    every = rays(cameras(), jnp.broadcast_to(pixel_grid(5, 4).reshape(-1, 2), (4, 20, 2)))
    for a, b in zip(found, every, strict=True):
        np.testing.assert_allclose(a, b.reshape(80, *b.shape[2:])[places], rtol=1e-6)


def test_rays_that_miss_have_no_point_in_the_box():
    seen, _ = framing.seen(cameras(eyes=2.0 * EYES), jnp.arange(80))
    along = jnp.linspace(0, 20, 4001)[:, None, None]
    inside = (jnp.abs(seen.origins + along * seen.directions) <= 1).all(-1).any(0)
    assert 10 < inside.sum() < 70
    # A ray that cuts a corner may pass it between two points.
    assert (framing.missed(seen) != ~inside).sum() <= 1


def test_cameras_focus_where_they_look():
    point, distance = jax.jit(framing.focus)(cameras())
    np.testing.assert_allclose(point, WHERE, atol=1e-3)
    np.testing.assert_allclose(distance, 3, atol=1e-3)
    row = cameras(eyes=np.float32([[0, i, 0] for i in range(3)]) + 1e-3)
    row = make(jnp.broadcast_to(row.pose[:1], (3, 3, 4)), 8.0, 5, 4)
    point, _ = framing.focus(row)
    np.testing.assert_allclose(point, inverse(row.pose)[0, :, 3], atol=1e-3)


def test_a_box_beside_the_scene_is_refused():
    places = np.arange(80)
    framing.require(cameras(), places, (0.0, 0.0, 0.0), 1.0)
    framing.require(cameras(), places[:0], (0.0, 0.0, 0.0), 1.0)
    away = cameras(jnp.array([5.0, 0, 0]))
    # In a world of which the box is half a unit large, about (1, 2, 3).
    with pytest.raises(UserError, match=r'93% .* at about \(3.5, 2, 3\) from 1.5 away'):
        framing.require(away, places, (1.0, 2.0, 3.0), 0.5)
