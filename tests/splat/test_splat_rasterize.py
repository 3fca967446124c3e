"""Images and gradients against the dense definition in float64, degenerate scenes, cameras."""

import functools
from dataclasses import replace

import jax
import numpy as np
import pytest
import splat_dense as dense
from compiling import FUSED
from jax import numpy as jnp

from jaxcv.cameras.camera import refined
from jaxcv.ops import sh
from jaxcv.splat import rasterize

BACKGROUND = np.array([0.3, 0.6, 0.1])
CAPACITY = 4096


def cast(tree, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)


@functools.partial(jax.jit, static_argnames='antialiased')
def ours(splats, camera, background, cotangents, antialiased=False):
    def loss(splats, camera, background):
        found = rasterize(
            splats, camera, capacity=CAPACITY, background=background, antialiased=antialiased
        )
        images = found.color, found.alpha, found.depth
        return sum((a * b).sum() for a, b in zip(images, cotangents, strict=True)), found

    grad = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
    (_, found), gradients = grad(splats, camera, background)
    return found, gradients


@functools.partial(jax.jit, static_argnames='antialiased')
def truth(splats, camera, background, cotangents, antialiased=False):
    def loss(splats, camera, background):
        *images, sure = dense.render(splats, camera, background, antialiased)
        total = sum(
            (a * b * sure.reshape(sure.shape + (1,) * (a.ndim - 2))).sum()
            for a, b in zip(images, cotangents, strict=True)
        )
        return total, (*images, sure)

    grad = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
    (_, found), gradients = grad(splats, camera, background)
    return found, gradients


def compare(splats, camera, *, dtype, image, gradient, antialiased=False, seed=0):
    generator = np.random.default_rng(seed)
    shape = camera.height, camera.width
    cotangents = [generator.normal(size=s) for s in ((*shape, 3), shape, shape)]
    with jax.enable_x64(True):
        # The same numbers on both sides: those that the smaller type can hold.
        inputs = cast(cast((splats, camera, BACKGROUND), dtype), jnp.float64)
        (*expected, sure), slopes = truth(*inputs, cotangents, antialiased=antialiased)
        expected, sure, slopes = jax.tree.map(np.asarray, (expected, sure, slopes))
    assert sure.mean() > 0.8
    weighted = [c * sure.reshape(sure.shape + (1,) * (c.ndim - 2)) for c in cotangents]
    with jax.enable_x64(dtype == jnp.float64):
        inputs = cast((splats, camera, BACKGROUND, weighted), dtype)
        found, gradients = ours(*inputs, antialiased=antialiased)
        found, gradients = jax.tree.map(np.asarray, (found, gradients))
    assert found.overflow == 0
    for got, true in zip((found.color, found.alpha, found.depth), expected, strict=True):
        assert got.dtype == dtype
        scale = max(1, np.abs(true).max())
        np.testing.assert_allclose(got[sure] / scale, true[sure] / scale, rtol=0, atol=image)
    for (path, got), true in zip(
        jax.tree_util.tree_leaves_with_path(gradients), jax.tree.leaves(slopes), strict=True
    ):
        if got.size:
            assert np.isfinite(got).all()
            scale = max(np.abs(true).max(), 1e-6)
            np.testing.assert_allclose(
                got / scale, true / scale, rtol=0, atol=gradient, err_msg=str(path)
            )


@pytest.mark.parametrize('kind', dense.KINDS)
def test_against_the_definition(kind):
    """float64 shows that the formulas are exact, float32 that its digits are kept."""
    for seed in range(3):
        splats = dense.scene(kind, seed=seed)
        camera = dense.camera(seed=seed)
        compare(splats, camera, dtype=jnp.float64, image=1e-9, gradient=1e-7, seed=seed)
        compare(splats, camera, dtype=jnp.float32, image=1e-5, gradient=1e-4, seed=seed)


@pytest.mark.parametrize('model', ['orthographic', 'fisheye'])
@pytest.mark.parametrize('kind', ['mixed', 'huge'])
def test_other_cameras(model, kind):
    splats, camera = dense.scene(kind), dense.camera(model=model)
    compare(splats, camera, dtype=jnp.float64, image=1e-9, gradient=1e-7)
    compare(splats, camera, dtype=jnp.float32, image=1e-5, gradient=1e-4)


@pytest.mark.parametrize('kind', ['mixed', 'needles'])
def test_antialiased(kind):
    splats, camera = dense.scene(kind), dense.camera()
    if kind == 'needles':
        splats.scales[:, 1] = 3e-3  # thinner than a pixel, but not by so much that all vanish
        splats.scales[:, 0] = 3e-3
    compare(splats, camera, dtype=jnp.float64, image=1e-9, gradient=1e-7, antialiased=True)
    compare(splats, camera, dtype=jnp.float32, image=1e-5, gradient=1e-4, antialiased=True)


def test_hundreds_in_one_pixel():
    """More than a step takes, over the end of pixels' light and beyond."""
    splats = dense.scene('crowd', count=700)
    splats.opacities[:] = np.linspace(0.01, 0.9, 700)
    camera = dense.camera(20, 18)
    compare(splats, camera, dtype=jnp.float64, image=1e-9, gradient=1e-7)
    compare(splats, camera, dtype=jnp.float32, image=1e-5, gradient=1e-4)


def render(splats, camera, **fields):
    splats, camera = cast((splats, camera), jnp.float32)
    made = jax.jit(lambda *x: rasterize(*x, **fields), compiler_options=FUSED)
    return made(splats, camera)


def test_pose_and_intrinsics_by_finite_differences():
    """Of a smooth scene, whose alphas stay within the thresholds."""
    with jax.enable_x64(True):
        splats = dense.scene(count=12)
        splats.scales[:], splats.opacities[:] = 3 + splats.scales, 0.2
        splats, camera = cast((splats, dense.camera(16, 12)), jnp.float64)
        weights = jnp.asarray(np.random.default_rng(0).normal(size=(12, 16, 3)))

        @jax.jit
        def loss(change):
            moved = refined(camera, change[:6])
            moved = replace(
                moved, focal=moved.focal + change[6:8], center=moved.center + change[8:]
            )
            return (rasterize(splats, moved, capacity=64).color * weights).sum()

        gradient = jax.grad(loss)(jnp.zeros(10))
        steps = 1e-5 * jnp.eye(10)
        differences = [(loss(step) - loss(-step)) / 2e-5 for step in steps]
        np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-6)
        assert np.abs(gradient).min() > 1e-5


def test_images_are_alike_however_they_are_made():
    """Alone, in a batch of cameras, vmapped over scenes, again: bit for bit."""
    splats = [cast(dense.scene(seed=seed), jnp.float32) for seed in range(2)]
    cameras = [cast(dense.camera(seed=seed), jnp.float32) for seed in range(3)]
    see = jax.jit(
        lambda splats, camera: rasterize(splats, camera, capacity=CAPACITY), compiler_options=FUSED
    )
    alone = [see(splats[0], camera) for camera in cameras]
    stacked = jax.tree.map(lambda *x: jnp.stack(x)[None], *cameras)
    together = see(splats[0], stacked)
    assert together.color.shape == (1, 3, 35, 45, 3) and together.overflow.shape == (1, 3)
    for i, one in enumerate(alone):
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0, i]), one, together)  # noqa: B023
    mapped = jax.vmap(see, (0, None))(jax.tree.map(lambda *x: jnp.stack(x), *splats), cameras[0])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0]), alone[0], mapped)
    jax.tree.map(np.testing.assert_array_equal, alone[0], see(splats[0], cameras[0]))
    own = see(*(jax.tree.map(lambda *x: jnp.stack(x), *each[:2]) for each in (splats, cameras)))
    for i in range(2):
        one = see(splats[i], cameras[i])
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[i]), one, own)  # noqa: B023


def test_gradients_of_a_batch_are_sums():
    splats = cast(dense.scene(), jnp.float32)
    cameras = [cast(dense.camera(seed=seed), jnp.float32) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *cameras)

    @jax.jit
    @jax.grad
    def gradient(splats, camera):
        return jnp.square(rasterize(splats, camera, capacity=CAPACITY).color).sum()

    parts = [gradient(splats, camera) for camera in cameras]
    whole = gradient(splats, stacked)
    for got, *terms in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(got, sum(terms), rtol=1e-4, atol=1e-4 * np.abs(got).max())


def test_overflow_is_reported():
    splats, camera = dense.scene(), dense.camera()
    enough = render(splats, camera, capacity=CAPACITY)
    few = render(splats, camera, capacity=50)
    assert few.overflow > 0 and np.isfinite(few.color).all()
    full = render(splats, camera, capacity=CAPACITY // 4)
    assert enough.overflow == full.overflow == 0
    np.testing.assert_array_equal(full.color, enough.color)


def test_any_number_of_channels():
    """Channels do not mix; there may be none."""
    splats, camera = dense.scene(channels=7), dense.camera()
    found = render(splats, camera, capacity=CAPACITY, background=np.arange(7.0))
    assert found.color.shape == (35, 45, 7)
    one = render(splats._replace(colors=splats.colors[:, 3:4]), camera, capacity=CAPACITY)
    expected = one.color[..., 0] + 3 * (1 - one.alpha)
    np.testing.assert_allclose(found.color[..., 3], expected, atol=1e-6)
    none = render(splats._replace(colors=splats.colors[:, :0]), camera, capacity=CAPACITY)
    np.testing.assert_allclose(none.depth, found.depth, atol=1e-6)


def test_depths_and_radii():
    """A wall that faces the camera is where it is, behind it is nothing."""
    splats = dense.scene(count=4)
    splats.means[:] = [[0, 0, 2], [0, 0, 2], [0, 0, 2], [0, 0, -9]]
    splats.scales[:], splats.opacities[:] = 50, 0.9
    camera = dense.camera()
    camera = replace(camera, pose=np.eye(3, 4))
    found = render(splats, camera, capacity=CAPACITY)
    np.testing.assert_allclose(found.expected, 2, rtol=1e-5)
    np.testing.assert_allclose(found.depth, 2 * found.alpha, rtol=1e-5)
    assert (found.radii[:3] > 45).all() and (found.radii[3] == 0).all()
    nothing = render(splats, camera, capacity=CAPACITY, near=2.5)
    assert (nothing.alpha == 0).all() and (nothing.expected == 0).all()


def test_shift_gives_the_gradient_on_the_screen():
    """Moving all means on the screen is moving the principal point."""
    splats, camera = cast((dense.scene(), dense.camera(model='orthographic')), jnp.float32)

    def loss(shift, center):
        moved = replace(camera, center=center)
        found = rasterize(splats, moved, capacity=CAPACITY, shift=shift)
        return jnp.square(found.color).sum()

    to_shift, to_center = jax.jit(jax.grad(loss, (0, 1)))(jnp.zeros((40, 2)), camera.center)
    np.testing.assert_allclose(to_shift.sum(0), to_center, rtol=1e-4)
    assert (to_shift != 0).any(1).mean() > 0.8


def test_harmonics_color_by_direction():
    splats, camera = cast((dense.scene(), dense.camera()), jnp.float32)
    coefficients = jnp.asarray(np.random.default_rng(0).normal(size=(40, 16, 3)), jnp.float32) * 0.3
    shaded = splats._replace(colors=coefficients)
    eye = -camera.pose[:, :3].T @ camera.pose[:, 3]
    way = splats.means - eye
    way = way / jnp.linalg.norm(way, axis=1, keepdims=True)
    colors = jnp.maximum(sh.evaluate(coefficients, way) + 0.5, 0)
    found = render(shaded, camera, capacity=CAPACITY)
    expected = render(splats._replace(colors=colors), camera, capacity=CAPACITY)
    np.testing.assert_allclose(found.color, expected.color, atol=1e-6)
