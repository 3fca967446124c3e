"""Pictures by chunks, against all rays at once and a ball in closed form."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.cameras import look_at, make, pixel_grid, rays
from jaxcv.radiance import occupancy, picture, volume
from jaxcv.radiance.chunks import by_chunks
from jaxcv.radiance.sampling import distances, stratified

EYES = jnp.array([[0.0, 0.0, -4.0], [3.0, 0.0, 2.0]])


def cameras():
    poses = jax.vmap(lambda eye: look_at(eye, jnp.zeros(3), jnp.array([0.0, -1.0, 0.0])))(EYES)
    return make(poses, 14.0, 13, 9)


def ball(points):
    return 60 * jax.nn.sigmoid(60 * (1 - jnp.linalg.norm(points, axis=-1)))


def rendered(seen):
    near, far = occupancy.intersect(
        seen.origins, seen.directions, -jnp.full(3, 1.5), jnp.full(3, 1.5)
    )
    edges = distances(stratified(len(near), 128), near, far)
    center = (edges[:, 1:] + edges[:, :-1]) / 2
    points = seen.origins[:, None] + center[..., None] * seen.directions[:, None]
    flat = points.reshape(-1, 3)
    normals = volume.normals(ball, flat).reshape(points.shape)
    values = jnp.concatenate(
        [jnp.broadcast_to(jnp.array([1.0, 0.5, 0.0]), points.shape), normals], -1
    )
    found = volume.render(ball(flat).reshape(center.shape), values, edges)
    seen = picture.shown(found)
    return seen._replace(color=volume.over(seen.color, seen.opacity, jnp.ones(3)))


def test_a_ball_looks_like_a_ball():
    camera = cameras()
    seen = jax.jit(lambda camera: picture.picture(rendered, camera, 50))(camera)
    assert seen.color.shape == seen.normals.shape == (2, 9, 13, 3)
    assert seen.depth.shape == seen.opacity.shape == (2, 9, 13)
    origins, directions, _ = rays(camera, pixel_grid(13, 9).reshape(-1, 2))
    along = (origins * directions).sum(-1)
    square = along**2 - (origins**2).sum(-1) + 1
    depth = (-along - jnp.sqrt(jnp.maximum(square, 0))).reshape(2, 9, 13)
    hit, missed = (np.asarray(x).reshape(2, 9, 13) for x in (square > 0.2, square < -0.5))
    assert hit.sum() > 20 and missed.sum() > 20
    np.testing.assert_allclose(seen.opacity[hit], 1, atol=1e-3)
    np.testing.assert_allclose(seen.opacity[missed], 0, atol=1e-3)
    np.testing.assert_allclose(seen.color[missed], 1, atol=1e-3)
    np.testing.assert_allclose(seen.color[hit], np.tile([1, 0.5, 0], (hit.sum(), 1)), atol=1e-3)
    np.testing.assert_allclose(seen.depth[hit], depth[hit], atol=0.05)
    surface = (origins + depth.reshape(2, -1, 1) * directions).reshape(2, 9, 13, 3)
    assert (jnp.sum(seen.normals * surface, -1)[hit] > 0.99).all()
    # Along the axis of the camera.
    view = picture.seen_along(jax.tree.map(lambda x: x[1], seen), camera[1])
    ahead = surface[1] @ camera.pose[1, 2, :3] + camera.pose[1, 2, 3]
    np.testing.assert_allclose(view.depth[hit[1]], ahead[hit[1]], atol=0.05)
    assert np.abs(seen.depth[1] - view.depth)[hit[1]].max() > 0.02


@pytest.mark.parametrize('chunk', [7, 117, 1000])
def test_chunks_change_nothing(chunk):
    camera = cameras()

    def function(seen):
        return {'way': seen.directions, 'sum': seen.origins.sum(-1)}

    found = picture.picture(function, camera, chunk)
    whole = function(rays(camera, pixel_grid(13, 9).reshape(-1, 2)))
    np.testing.assert_allclose(found['way'], whole['way'].reshape(2, 9, 13, 3), atol=1e-6)
    np.testing.assert_allclose(found['sum'], whole['sum'].reshape(2, 9, 13), atol=1e-6)
    one = picture.picture(function, camera[1], chunk)
    np.testing.assert_allclose(one['way'], found['way'][1], atol=1e-6)


def test_no_more_than_a_chunk_is_computed_at_a_time():
    sizes = []

    def function(x):
        sizes.append(x.shape)
        return 2 * x

    x = jnp.arange(20.0).reshape(10, 2)
    np.testing.assert_array_equal(by_chunks(function, x, 4), 2 * x)
    assert set(sizes) == {(4, 2)}
