"""The mesh of the desk from what cameras see of it, beside its true surface."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv import cameras, surfaces
from jaxcv.cameras.view import View
from jaxcv.data.tabletop import desk, fibonacci, orbit, render
from jaxcv.surfaces.comparison import chamfer
from jaxcv.surfaces.mesh import sample

KEY = jax.random.key(0)
SIDE, KNOWN = 48, 20


@pytest.mark.usefixtures('optimized')
def test_the_mesh_of_the_desk_is_where_the_desk_is():
    """To 1% of its size, which is 2; true points are seen from elsewhere."""
    look, world = jax.jit(render), desk()
    camera = orbit(fibonacci(KNOWN), SIDE)
    seen = jax.tree.map(lambda *x: jnp.stack(x), *[look(world, each) for each in camera])
    views = View(seen.image[..., :3], seen.image[..., 3], seen.depth)
    mesh = surfaces.agreed(views, camera, 80)

    other = orbit(fibonacci(7), SIDE)
    pixels = cameras.pixel_grid(SIDE, SIDE).reshape(-1, 2)
    true = []
    for each in other:
        depth = np.asarray(look(world, each).depth).reshape(-1)
        points = cameras.unproject(each, pixels, jnp.asarray(depth))
        true.append(np.asarray(points)[depth > 0])
    found = sample(mesh, jax.random.split(KEY, 4000)).points
    distance = chamfer(found, jnp.asarray(np.concatenate(true)))
    assert distance < 0.01 * 2
