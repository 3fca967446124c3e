"""Surfels against every disk at every pixel in float64, differentiated by autodiff; planes."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
import splat_dense as dense
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from jaxcv.cameras import pixel_grid, rays, refined
from jaxcv.errors import UserError
from jaxcv.splat import walk
from jaxcv.splat.surfels import Surfels, rasterize, relief, unevenness
from jaxcv.splat.surfels.projection import outlined, project
from jaxcv.splat.tiles import Grid, intersect

NEAR, FAINT, OPAQUEST, STOP, POINT = 0.01, 1 / 255, 0.99, 1e-4, 0.5
BACKGROUND = np.array([0.3, 0.6, 0.1])
CAPACITY = 4096
KINDS = ('mixed', 'near', 'huge', 'tiny', 'edges', 'extremes')


def scene(kind='mixed', count=30, seed=0):
    """In numpy, float64, for a camera that is 3 away."""
    draw = np.random.default_rng(seed)
    surfels = Surfels(
        means=draw.uniform(-1, 1, (count, 3)),
        rotations=draw.normal(size=(count, 4)),
        scales=np.exp(draw.uniform(-3.5, -1, (count, 2))),
        opacities=draw.uniform(0.02, 0.95, count),
        colors=draw.uniform(size=(count, 3)),
    )
    if kind == 'near':  # they reach through the near plane and behind the camera
        surfels.means[:, 2] = -3 + draw.uniform(-0.2, 0.5, count)
        surfels.means[:, :2] *= 0.3
    elif kind == 'huge':
        surfels.scales[:] = np.exp(draw.uniform(0, 4, (count, 2)))
        surfels.opacities[:] *= 0.3
    elif kind == 'tiny':
        surfels.scales[:] = np.exp(draw.uniform(-12, -3, (count, 2)))
    elif kind == 'edges':  # seen from the side, up to exactly so
        way = surfels.means + np.array([0, 0, 3])
        tilt = 10.0 ** -draw.uniform(1, 7, count)
        normal = np.cross(way, draw.normal(size=(count, 3)))
        normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        normal += tilt[:, None] * way / np.linalg.norm(way, axis=1, keepdims=True)
        found = [Rotation.align_vectors(n[None], [[0, 0, 1]])[0] for n in normal]
        surfels.rotations[:] = [x.as_quat(scalar_first=True) for x in found]
    elif kind == 'extremes':
        surfels.opacities[: count // 2] = np.tile([0, 1], count)[: count // 2]
        surfels.scales[-10:] = 0
    return surfels


def eye(seed=0):
    """Of `dense.camera`, not turned for 'edges' to stay so."""
    return dense.camera(41, 33, seed=seed)


def truth(surfels, camera, background):
    """(color, alpha, depth sums, normal sums, sure)."""
    turned = dense.rotation(surfels.rotations)
    along, across, normal = jnp.moveaxis(turned, -1, 0)
    points = surfels.means @ camera.pose[:, :3].T + camera.pose[:, 3]
    depths = points[:, 2]
    seen = (depths > NEAR) & (surfels.opacities >= FAINT)
    order = jnp.argsort(jnp.where(seen, depths, jnp.inf), stable=True)
    pixel = pixel_grid(camera.width, camera.height).astype(depths.dtype)
    view = rays(camera, pixel.reshape(-1, 2))
    place = view.directions.reshape(*pixel.shape[:2], 3)
    origin = view.origins[0]

    def one(i):
        safe = jnp.where(seen[i], points[i], jnp.array([0.0, 0.0, 1.0]))
        center = safe[:2] / safe[2] * camera.focal + camera.center
        way = surfels.means[i] - origin
        height = normal[i] @ way
        edge = jnp.abs(height) < 1e-4 * jnp.linalg.norm(way)
        facing = place @ normal[i]
        length = height / jnp.where(jnp.abs(facing) > 1e-12, facing, 1)
        hit = length[..., None] * place - way
        scales = jnp.maximum(surfels.scales[i], 1e-3 * safe[2] / camera.focal.max())
        depth = length * (place @ camera.pose[2, :3])
        disk = jnp.square(hit @ along[i] / scales[0]) + jnp.square(hit @ across[i] / scales[1])
        point = jnp.square(pixel - center).sum(-1) / POINT
        met = ~edge & (length > 0) & (depth > NEAR) & (depth < 1e4 * safe[2]) & (disk <= point)
        square = jnp.where(met, disk, point)
        raw = jnp.where(seen[i], surfels.opacities[i], 0) * jnp.exp(-square / 2)
        close = lambda x, y, width: jnp.abs(x - y) < width * y  # noqa: E731
        unsure = close(raw, FAINT, 1e-3) | close(raw, OPAQUEST, 1e-3)
        near = close(disk, point, 1e-3) | close(depth, NEAR, 1e-2)
        unsure |= near & ~edge & (raw > FAINT / 2)
        alpha = jnp.where(raw >= FAINT, jnp.minimum(raw, OPAQUEST), 0)
        return alpha, jnp.where(met, depth, safe[2]), -jnp.sign(height) * normal[i], unsure

    alphas, deep, normals, unsure = jax.vmap(one)(order)
    light = jnp.cumprod(1 - alphas, 0)
    before = jnp.concatenate([jnp.ones_like(light[:1]), light[:-1]])
    weights = jnp.where(before > STOP, alphas * before, 0)
    unsure = (unsure | (jnp.abs(before / STOP - 1) < 1e-2)).any(0)
    color = jnp.einsum('nhw,nc->hwc', weights, surfels.colors[order])
    alpha = weights.sum(0)
    color = color + (1 - alpha)[..., None] * background
    depth = (weights * deep).sum(0)
    normals = jnp.einsum('nhw,nc->hwc', weights, normals)
    return (color, alpha, depth, normals), ~unsure


def ours(surfels, camera, background):
    found = rasterize(surfels, camera, capacity=CAPACITY, background=background)
    sums = found.expected * found.alpha, found.normals * found.alpha[..., None]
    return (found.color, found.alpha, *sums), found.overflow


@partial(jax.jit, static_argnums=0)
def graded(render, inputs, weights):
    def loss(surfels, change, background):
        twist, camera = change
        images, more = render(surfels, refined(camera, twist), background)
        return sum((a * b).sum() for a, b in zip(images, weights, strict=True)), (images, more)

    (_, found), slopes = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(*inputs)
    return found, slopes


def cast(tree, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)


def compare(surfels, camera, dtype, image, gradient):
    draw = np.random.default_rng(0)
    shape = camera.height, camera.width
    weights = [draw.normal(size=s) for s in ((*shape, 3), shape, shape, (*shape, 3))]
    with jax.enable_x64(True):
        # The same numbers on both sides: those that the smaller type can hold.
        inputs = cast(cast((surfels, (np.zeros(6), camera), BACKGROUND), dtype), jnp.float64)
        _, sure = jax.jit(truth)(inputs[0], inputs[1][1], inputs[2])
        sure = np.asarray(sure)
        weights = [w * sure.reshape(sure.shape + (1,) * (w.ndim - 2)) for w in weights]
        (expected, _), slopes = jax.device_get(graded(truth, inputs, weights))
    assert sure.mean() > 0.8 and expected[1].mean() > 0.02
    with jax.enable_x64(dtype == jnp.float64):
        inputs = cast((surfels, (np.zeros(6), camera), BACKGROUND), dtype)
        (found, overflow), gradients = jax.device_get(graded(ours, inputs, cast(weights, dtype)))
    assert overflow == 0
    for got, true in zip(found, expected, strict=True):
        assert got.dtype == dtype
        scale = max(1, np.abs(true[sure]).max())
        np.testing.assert_allclose(got[sure] / scale, true[sure] / scale, rtol=0, atol=image)
    for (path, got), true in zip(
        jax.tree_util.tree_leaves_with_path(gradients), jax.tree.leaves(slopes), strict=True
    ):
        assert np.isfinite(got).all()
        # Of poses the movement counts: how they would change as matrices is open.
        if got.size and got.shape != (3, 4):
            scale = max(np.abs(true).max(), 1e-6)
            name = jax.tree_util.keystr(path)
            np.testing.assert_allclose(
                got / scale, true / scale, rtol=0, atol=gradient, err_msg=name
            )


@pytest.mark.parametrize('kind', KINDS)
def test_against_the_definition(kind):
    for seed in range(2):
        surfels, camera = scene(kind, seed=seed), eye(seed)
        compare(surfels, camera, jnp.float64, image=1e-9, gradient=1e-7)
        compare(surfels, camera, jnp.float32, image=3e-5, gradient=1e-3)


def wall(count=14, apart=0.12, tilt=(0.5, -0.4, 0.2)):
    """A plane full of disks that overlap, and a camera in front of it: (surfels, camera, normal,
    a point of the plane)."""
    draw = np.random.default_rng(0)
    turn = Rotation.from_rotvec(tilt)
    grid = (np.indices((count, count)).reshape(2, -1).T - (count - 1) / 2) * apart
    flat = np.pad(grid + 0.03 * draw.normal(size=grid.shape), ((0, 0), (0, 1)))
    # Turned about the normal at random, and half of them over.
    own = Rotation.from_rotvec(draw.uniform(0, 7, (len(flat), 1)) * [0, 0, 1])
    over = Rotation.from_rotvec(np.arange(len(flat))[:, None] % 2 * np.pi * np.array([1, 0, 0]))
    middle = np.array([0.1, -0.05, 2.0])
    surfels = Surfels(
        means=turn.apply(flat) + middle,
        rotations=(turn * own * over).as_quat(scalar_first=True),
        scales=apart * draw.uniform(0.8, 1.2, (len(flat), 2)),
        opacities=draw.uniform(0.3, 0.9, len(flat)),
        colors=np.tile([0.2, 0.5, 0.8], (len(flat), 1)),
    )
    camera = replace(dense.camera(40, 32), pose=np.eye(3, 4))
    return *cast((surfels, camera), jnp.float32), turn.apply([0, 0, 1]), middle


def test_a_tilted_plane_is_where_it_is():
    """Depth, normals and color, however the disks overlap; Gaussians would give those of their
    centers."""
    surfels, camera, normal, middle = wall()
    found = jax.jit(lambda *x: rasterize(*x, capacity=1 << 14))(surfels, camera)
    pixel = np.asarray(pixel_grid(camera.width, camera.height), np.float64)
    plane = (pixel - np.asarray(camera.center)) / np.asarray(camera.focal)
    way = np.concatenate([plane, np.ones((*plane.shape[:2], 1))], -1)
    depth = normal @ middle / (way @ normal)
    shown = np.asarray(found.alpha) > 0.2
    assert found.overflow == 0 and shown.mean() > 0.9 and np.ptp(depth[shown]) > 0.5
    np.testing.assert_allclose(found.expected[shown], depth[shown], rtol=2e-6)
    towards = normal if normal @ middle < 0 else -normal
    np.testing.assert_allclose(found.normals[shown], np.tile(towards, (shown.sum(), 1)), atol=2e-6)
    np.testing.assert_allclose(
        found.own[shown], np.tile([0.2, 0.5, 0.8], (shown.sum(), 1)), atol=2e-6
    )
    assert (np.asarray(found.expected)[np.asarray(found.alpha) == 0] == 0).all()


def test_its_depths_make_the_plane_again():
    """The relief has the plane's normal, disks in it are even, and disks turned out of it are not:
    by 1 - cos of the angle."""
    surfels, camera, normal, _ = wall()
    look = jax.jit(lambda surfels: rasterize(surfels, camera, capacity=1 << 14))
    found = look(surfels)
    inner = np.s_[4:-4, 4:-4]
    assert (np.asarray(found.alpha)[inner] > 0.5).mean() > 0.9
    towards = normal * np.sign(np.asarray(found.normals[16, 20]) @ normal)
    made = np.asarray(relief(found.expected, camera))[3:-3, 3:-3]
    solid = np.asarray(found.alpha)[inner] > 0.5
    np.testing.assert_allclose(made[solid], np.tile(towards, (solid.sum(), 1)), atol=1e-4)
    assert abs(float(unevenness(found, camera))) < 1e-4

    angle = 0.3
    turn = Rotation.from_rotvec(angle * np.cross(normal, [0, 0, 1]) / np.linalg.norm(normal[:2]))
    turned = found._replace(
        normals=jnp.asarray(turn.apply(found.normals.reshape(-1, 3))).reshape(found.normals.shape)
    )
    weight = np.asarray(found.alpha)[1:-1, 1:-1]
    shown = np.asarray(found.alpha) > 0.5
    beside = shown[1:-1, 2:] & shown[1:-1, :-2] & shown[2:, 1:-1] & shown[:-2, 1:-1]
    wanted = ((1 - np.cos(angle)) * weight * (beside & shown[1:-1, 1:-1])).mean()
    assert float(unevenness(turned, camera)) == pytest.approx(wanted, rel=1e-3)


def test_disks_shift_as_the_image_does():
    """By pixels on the screen: as where the principal point moves."""
    surfels, camera, _, _ = wall()
    by = jnp.array([2.0, -3.0])
    shift = jnp.broadcast_to(by, (len(surfels.means), 2))
    draw = jax.jit(lambda camera, shift: rasterize(surfels, camera, capacity=1 << 14, shift=shift))
    shifted = draw(camera, shift)
    moved = draw(replace(camera, center=camera.center + by), jnp.zeros_like(shift))
    for name in ('color', 'alpha', 'expected', 'radii'):
        np.testing.assert_allclose(getattr(shifted, name), getattr(moved, name), atol=1e-5)
    assert np.abs(shifted.color - draw(camera, 0 * shift).color).max() > 0.1
    assert (shifted.radii > 1).all()


def test_several_cameras_see_what_each_does():
    surfels, camera, _, _ = wall()
    poses = jnp.stack([camera.pose, camera.pose.at[0, 3].add(0.3)])
    two = jax.tree.map(lambda x: jnp.stack([x, x]), camera)
    two = replace(two, pose=poses)
    both = jax.jit(lambda cameras: rasterize(surfels, cameras, capacity=1 << 14))(two)
    each = [jax.jit(lambda c: rasterize(surfels, c, capacity=1 << 14))(two[i]) for i in range(2)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), both, stacked)


def test_outlines_are_tight():
    """Disks that do not reach the camera are looked for where they are, not everywhere."""
    surfels, camera, _, _ = wall()
    grid = Grid(camera.width, camera.height)

    @jax.jit
    def touched(surfels, camera):
        disks = project(surfels, camera, near=NEAR, far=1e10)
        return intersect(outlined(disks, camera), grid, 1 << 14).pairs

    assert touched(surfels, camera) < 10 * len(surfels.means)


def test_nothing_is_ever_nan(monkeypatch):
    """Numbers of every size, in values and gradients, vmapped over scenes."""
    monkeypatch.setattr(walk, 'GROUPS', 1)  # all tiles of so small an image in lockstep
    draw = np.random.default_rng(0)
    many, count = 400, 8

    def wild(*shape):
        odd = [0, 1, -1, 1e-30, 1e30, -1e30, 1e-3, 1e4, 9e7, np.inf, np.nan]
        odd = draw.choice(odd, shape)
        return np.where(draw.uniform(size=shape) < 0.85, draw.normal(size=shape), odd)

    surfels = Surfels(
        wild(many, count, 3),
        wild(many, count, 4),
        np.abs(wild(many, count, 2)),
        draw.choice([0, 1 / 255, 0.5, 0.99, 1], (many, count)),
        draw.normal(size=(many, count, 4, 3)),
    )
    camera = cast(dense.camera(12, 8, distance=1.0), jnp.float32)

    def loss(surfels, camera):
        found = rasterize(surfels, camera, capacity=64)
        return found.color.sum() + found.expected.mean() + found.normals.sum(), found

    grad = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1), has_aux=True), (0, None)))
    found = jax.device_get(grad(cast(surfels, jnp.float32), camera))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert (found[0][1].alpha.max((1, 2)) > 0.5).mean() > 0.3


def test_other_cameras_are_refused():
    surfels, camera, _, _ = wall()
    for other in (replace(camera, model='fisheye'), replace(camera, lens=jnp.zeros(4))):
        with pytest.raises(UserError, match='pinhole cameras without a lens'):
            rasterize(surfels, other, capacity=64)
