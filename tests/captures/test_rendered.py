"""What was rendered, read again as a capture, in the world of the box and in that around it."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.cameras import look_at, make
from jaxcv.cameras.view import SOLID, View
from jaxcv.data.captures import blender, moved, read, rendered
from jaxcv.data.captures.photographs import Box


def test_views_are_read_again(tmp_path):
    draw = np.random.default_rng(0)
    eyes = jnp.asarray(draw.normal(size=(3, 3)), jnp.float32)
    pose = jax.vmap(look_at, (0, None, None))(eyes, jnp.zeros(3), jnp.array([0.0, 0, 1]))
    cameras = make(pose, 20.0, 16, 12)
    opacity = draw.uniform(size=(3, 12, 16)).astype(np.float32)
    color = draw.uniform(size=(3, 12, 16, 3)).astype(np.float32)
    depth = draw.uniform(1, 3, size=(3, 12, 16)).astype(np.float32)
    box = Box(center=(1.0, 2.0, 3.0), half=2.0)
    inside = rendered.stored(tmp_path, View(opacity[..., None] * color, opacity, depth), cameras)
    blender.write(tmp_path, moved(inside, box.outward))

    found = read(tmp_path)
    assert found.splits['test'].tolist() == [0] and len(found) == 3
    for i in range(3):
        image = found.image(i) / 255
        np.testing.assert_allclose(image[..., 3], opacity[i], atol=0.6 / 255)
        seen = opacity[i] > 0.01
        np.testing.assert_allclose(image[seen, :3], color[i][seen], atol=0.6 / 255)
        known = np.where(opacity[i] > SOLID, 2 * depth[i], 0)
        np.testing.assert_allclose(found.depth(i), known, atol=1e-4)
    # The place of an eye, in the world.
    turn, shift = found.cameras.pose[..., :3], found.cameras.pose[..., 3]
    there = -np.einsum('nji,nj->ni', turn, shift)
    np.testing.assert_allclose(there, np.array(box.center) + 2 * np.asarray(eyes), atol=1e-5)
