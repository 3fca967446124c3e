"""Gaussians from pictures with depth: of a ball in closed form, and of the desk."""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import pytest
from absl import flags
from jax import numpy as jnp

import experiments
from jaxcv.cameras import Camera, pixel_grid, rays
from jaxcv.cameras.view import Scene, View
from jaxcv.data.captures.photographs import Box
from jaxcv.data.tabletop import desk, fibonacci, orbit, render
from jaxcv.errors import UserError
from jaxcv.metrics import psnr
from jaxcv.splat import activated, converted, files
from jaxcv.splat.covariance import rotation
from jaxcv.splat.scene import Drawing, looker
from jaxcv.train.config import load

SIDE, COUNT = 40, 12
RADIUS = 0.6


@jax.jit
def ball(camera):
    """Colored by where it is."""
    seen = rays(camera, pixel_grid(camera.width, camera.height).reshape(-1, 2))
    along = -(seen.origins * seen.directions).sum(-1)
    square = jnp.square(seen.origins).sum(-1) - along**2
    opacity = (square < RADIUS**2).astype(jnp.float32)
    length = along - jnp.sqrt(jnp.maximum(RADIUS**2 - square, 0))
    points = seen.origins + length[:, None] * seen.directions
    depth = opacity * length * (seen.directions @ camera.pose[2, :3])
    color = opacity[:, None] * (0.5 + 0.4 * jnp.sin(4 * points))
    shape = camera.height, camera.width
    return View(color.reshape(*shape, 3), opacity.reshape(shape), depth.reshape(shape))


@jax.jit
def traced(scene, camera):
    found = render(scene, camera)
    opacity = found.image[..., 3]
    return View(found.image[..., :3] * opacity[..., None], opacity, found.depth)


@dataclass
class Known:
    """A scene that is known: a `cameras.view.Scene`."""

    cameras: Camera
    look: callable

    @property
    def views(self):
        found = [jax.device_get(self.look(camera)) for camera in self.cameras]
        return View(*map(np.stack, zip(*found, strict=True)))


def white(view):
    return np.asarray(view.color + (1 - view.opacity)[..., None]).clip(0, 1)


def likeness(gaussians, scene, views):
    """PSNR on white of every view."""
    look = looker(Drawing())
    splats = activated(jax.tree.map(jnp.asarray, gaussians))
    drawn = [white(look(splats, camera)) for camera in scene.cameras]
    return np.asarray(psnr(np.stack(drawn), white(views)))


def test_pixels_know_their_surface():
    camera = orbit(fibonacci(3), SIDE)[1]
    view = ball(camera)
    found = jax.device_get(jax.jit(converted.patches)(view, camera))
    shown = found.weights > 0
    assert 0.8 < shown.sum() / view.opacity.sum() <= 1
    points = found.points[shown]
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), RADIUS, rtol=1e-5)
    # Differences to the next pixel: off by half a pixel's turn.
    cosine = (found.normals[shown] * points).sum(1) / RADIUS
    assert cosine.min() > 0.8 and np.median(cosine) > 0.99
    depth = np.asarray(view.depth)[shown]
    np.testing.assert_allclose(found.sizes[shown], depth / camera.focal[0], rtol=1e-4)
    np.testing.assert_allclose(found.colors[shown], 0.5 + 0.4 * np.sin(4 * points), atol=1e-5)


def test_a_ball_of_disks():
    """One for each cell that the surface goes through, along the surface."""
    scene = Known(orbit(fibonacci(COUNT), SIDE), ball)
    views = scene.views
    spacing = 1.5
    found = converted.gaussians(views, scene.cameras, spacing=spacing)
    pixel = np.median(views.depth[views.depth > 0]) / float(scene.cameras.focal[0, 0])
    apart = spacing * pixel
    length = np.linalg.norm(found.means, axis=1)
    sunk = length - (RADIUS - converted.SUNK * pixel)
    assert np.abs(sunk).max() < 0.02 and np.median(np.abs(sunk)) < 3e-3
    seen = found.means[:, 2] > 0  # the cameras stand above
    count = seen.sum() * apart**2 / (2 * np.pi * RADIUS**2)
    assert 1 < count < 3  # 1.5 on average, and as many again where sides meet
    axes = np.asarray(rotation(found.rotations))
    across = np.abs((axes[:, :, 2] * found.means).sum(1) / length)
    assert np.median(across) > 0.99
    scales = np.exp(found.log_scales)
    np.testing.assert_allclose(scales[:, 2], converted.FLATNESS * scales[:, 0], rtol=1e-5)
    assert likeness(found, scene, views).min() > 20


def test_the_desk_is_seen_without_training():
    """At 24x24. White alone has 11 dB."""
    scene = Known(orbit(fibonacci(6), 24), partial(traced, desk()))
    views = scene.views
    found = converted.gaussians(views, scene.cameras)
    values = likeness(found, scene, views)
    assert values.min() > 18 and values.mean() > 19
    truth = white(views)
    assert psnr(np.ones_like(truth), truth).max() < 13


def test_what_others_see_through_is_left_out():
    """A wall that a single view claims to be in front of everything."""
    scene = Known(orbit(fibonacci(COUNT), SIDE), ball)
    views = scene.views
    depth = views.depth.copy()
    depth[3, 5:15, 5:15] = 1.0
    opacity = np.where(depth > 0, 1, views.opacity).astype(np.float32)
    found = converted.gaussians(views._replace(depth=depth, opacity=opacity), scene.cameras)
    assert np.linalg.norm(found.means, axis=1).max() < RADIUS


def test_both_sides_of_a_sheet_stay():
    draw = np.random.default_rng(0)
    points = draw.uniform(0, 1, (400, 3)).astype(np.float32) * [1, 1, 1e-3]
    side = np.arange(400) % 2
    seen = converted.Patches(
        points=points,
        normals=np.stack([0 * side, 0 * side, 2 * side - 1], -1).astype(np.float32),
        colors=np.repeat(side[:, None], 3, 1).astype(np.float32),
        opacities=np.ones(400),
        sizes=np.full(400, 0.1),
        weights=draw.uniform(1, 2, 400),
    )
    found = converted.merged(seen, 0.25)
    assert len(found.points) == 2 * 16
    np.testing.assert_array_equal(found.colors, np.repeat(found.normals[:, 2:] > 0, 3, 1))
    np.testing.assert_allclose(found.weights.sum(), seen.weights.sum(), rtol=1e-6)
    middle = (seen.weights[:, None] * points).sum(0) / seen.weights.sum()
    total = (found.weights[:, None] * found.points).sum(0) / found.weights.sum()
    np.testing.assert_allclose(total, middle, rtol=1e-5)


def test_nothing_to_see():
    camera = orbit(fibonacci(2), 8)
    views = View(np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8)), np.zeros((2, 8, 8)))
    with pytest.raises(UserError, match='no view shows a surface'):
        converted.gaussians(views, camera)


# Of one run to another


@pytest.fixture
def extract(monkeypatch):
    """The launcher without its flags, of which a process cannot have those of two."""
    for name in ('DEFINE_string', 'DEFINE_integer'):
        monkeypatch.setattr(flags, name, lambda *arguments: None)
    from experiments import extract

    return extract


WATCH = {'train.steps': 2, 'train.eval_every': 0, 'train.show_every': -1, 'data.image_size': 0}


def test_from_any_scene_to_splats_and_to_a_field(extract, tmp_path):
    """The file goes on as it is, and the pictures teach a field: in a box that is not the world."""
    scene = Known(orbit(fibonacci(COUNT), SIDE), ball)
    assert isinstance(scene, Scene)
    box, folder = Box((1.0, 0.0, 0.0), 2.0), tmp_path / 'out'
    faces, count = extract.write(folder, scene, box, 'mesh.ply', 24, 'scene.ply')
    found = files.read(folder / 'scene.ply')
    assert faces > 100 and len(found.means) == count > 1000

    common = {'data.name': 'capture', 'data.path': str(folder), **WATCH}
    common |= {'box.center': box.center, 'box.half': box.half}
    begin = {'name': 'file', 'path': str(folder / 'scene.ply')}
    more = {'initial': begin, 'drawing.degree_every': 0}
    made = experiments.build(load('configs/splat/splat_scene.py', common | more))
    state = made.init(jax.random.key(0))
    np.testing.assert_array_equal(state.population.gaussians.means[:count], found.means)
    assert made.evaluate(state, None)['psnr'] > 19

    objective = {'color': 'squared', 'background': 'random', 'depth': 0.1}
    more = {'objective': objective, 'train.batch_size': 64}
    made = experiments.build(load('configs/radiance/ngp_scene.py', common | more))
    held = made.batches
    assert np.abs(np.linalg.norm(held.arrays['depth'])) > 0
    batch = jax.tree.map(lambda x: x[:64], held.arrays)
    _, metrics = jax.jit(made.step)(made.init(jax.random.key(0)), batch, jax.random.key(1))
    assert metrics['outside'] == 0 and np.isfinite(metrics['loss'])


def test_splats_give_their_own(extract):
    class Splats(Known):
        gaussians = 'own'

    assert extract.gaussians_of(Splats(None, None), None) == 'own'
