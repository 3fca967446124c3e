"""The page and the bytes of a scene; its JavaScript, but for the drawing, in a small engine."""

import json
import re
import zlib

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from jaxcv.cameras import Camera, inverse, look_at, make, orbit, project
from jaxcv.errors import UserError
from jaxcv.splat import Gaussians, viewer
from jaxcv.splat.viewer.pack import _OTHERS, HEADER, OPACITIES, ROW
from jaxcv.splat.viewer.page import asset
from jaxcv.splat.viewer.start import start


def scene(count=50, degree=3, seed=0) -> Gaussians:
    draw = np.random.default_rng(seed)
    made = Gaussians(
        means=draw.normal(size=(count, 3)),
        log_scales=draw.uniform(-9, 2, (count, 3)),
        rotations=draw.normal(size=(count, 4)) * np.exp(draw.normal(size=(count, 1))),
        opacity_logits=3 * draw.normal(size=count),
        sh=draw.normal(size=(count, (degree + 1) ** 2, 3)),
    )
    return Gaussians(*(x.astype(np.float32) for x in made))


def camera(**changes) -> Camera:
    pose = look_at(jnp.array([4.0, 1, 2]), jnp.zeros(3), jnp.array([0.0, 0, 1]))
    return make(pose, 300.0, 320, 240, **changes)


def table(packed):
    """(header, rows of bytes)."""
    data = zlib.decompress(packed)
    count, *more = HEADER.unpack_from(data)
    columns = np.frombuffer(data, np.uint8, offset=HEADER.size).reshape(-1, count)
    return (count, *more), np.ascontiguousarray(columns.T)


@pytest.mark.parametrize('degree', range(5))
def test_what_is_packed_is_what_was_given(degree):
    given = scene(degree=degree)
    (count, top, *ranges), bytes_ = table(viewer.pack(given))
    assert (count, top) == (50, degree) and bytes_.shape[1] % 16 == 0
    rows = np.ascontiguousarray(bytes_[:, : ROW.itemsize]).view(ROW)[:, 0]
    np.testing.assert_array_equal(rows['mean'], given.means)
    np.testing.assert_allclose(rows['log_scale'], given.log_scales, atol=4e-3)
    np.testing.assert_allclose(rows['color'], given.sh[:, 0], rtol=5e-4, atol=1e-6)
    opacity = (rows['opacity'] >> 2) / OPACITIES
    np.testing.assert_allclose(opacity, 1 / (1 + np.exp(-given.opacity_logits)), atol=4e-5)

    largest = rows['opacity'] & 3
    quaternions = np.ones((count, 4))
    np.put_along_axis(quaternions, _OTHERS[largest], rows['others'] / 32767, 1)
    apart = Rotation.from_quat(quaternions, scalar_first=True).inv() * Rotation.from_quat(
        given.rotations, scalar_first=True
    )
    assert apart.magnitude().max() < 1e-4

    words = bytes_[:, ROW.itemsize :].view(np.int8).reshape(count, -1, 4)
    for l in range(1, degree + 1):  # noqa: E741
        found = words[:, l**2 - 1 : (l + 1) ** 2 - 1, :3] / 127 * ranges[l - 1]
        expected = given.sh[:, l**2 : (l + 1) ** 2]
        np.testing.assert_allclose(found, expected, atol=0.51 / 127 * ranges[l - 1])


def test_what_is_not_drawn_is_packed_without_opacity():
    given = scene(4, degree=0)
    given.means[1, 2], given.log_scales[2, 0], given.rotations[3] = 2e8, 20, 0
    rows = table(viewer.pack(given))[1].view(ROW)[:, 0]
    np.testing.assert_array_equal(rows['opacity'] >> 2 > 0, [1, 0, 0, 1])
    np.testing.assert_array_equal(rows['others'][3], 0)  # no rotation
    given.means[0, 0] = np.nan
    with pytest.raises(UserError, match='the scene: means holds numbers that are not finite'):
        viewer.pack(given)


def test_the_page_needs_nothing_else():
    page = viewer.page(scene(), camera(), title='</script><b>desk</b>')
    assert page == viewer.page(scene(), camera(), title='</script><b>desk</b>')
    assert '<b>' not in page and '//www' not in page and 'http:' not in page
    assert 'https:' not in page and not re.search(r'(?i)\b(src|href|import)\s*[=(]', page)
    assert not re.search(r'\$(title|style|start|scene|scripts)', page)
    started = json.loads(re.search(r'id=start>(.*?)</script>', page)[1])
    assert started['title'] == '</script><b>desk</b>' and started['source'] == ''
    larger = viewer.page(scene(1000), camera())
    assert 50 < (len(larger) - len(page)) / 950 < 110  # bytes for each


def test_a_page_says_what_it_cannot_show():
    with pytest.raises(UserError, match="the background is 'green'"):
        viewer.page(scene(), camera(), background='green')
    with pytest.raises(UserError, match="model 'orthographic'"):
        viewer.page(scene(), camera(model='orthographic'))
    with pytest.raises(UserError, match=r'shape \(1,\)'):
        viewer.page(scene(), camera()[None])


def test_where_one_begins():
    """About the depth of what is seen; what is behind or beside does not count."""
    given, seen = scene(), camera()
    eye, way = np.asarray(inverse(seen.pose)[:, 3]), np.asarray(seen.pose[2, :3])
    given.means[:] = eye + np.linspace(1, 3, 50)[:, None] * way
    given.means[:24] = eye - way
    given.means[24] = eye + [0, 0, 9]
    found = start(given, seen)
    assert found['distance'] == pytest.approx(np.median(np.linspace(1, 3, 50)[25:]), rel=1e-5)
    assert found['up'] == [0, 0, 1]
    np.testing.assert_array_equal(found['pose'], np.ravel(seen.pose))
    assert start(given, seen, up=(0, -2, 0))['up'] == [0, -1, 0]
    given.means[:] = eye - way
    assert start(given, seen)['distance'] == 1


@pytest.mark.parametrize('axis', range(3))
def test_a_camera_that_has_the_scene_in_view(axis):
    given, up = scene(2000), -np.eye(3)[axis]
    given.means[:] += [100, -20, 3]
    found = viewer.framing(given, up)
    pixels, depth = project(found, jnp.asarray(given.means))
    inside = (pixels > 0).all(-1) & (pixels < jnp.array([found.width, found.height])).all(-1)
    assert (depth > 0).mean() > 0.95 and inside.mean() > 0.85
    assert -found.pose[1, :3] @ up > 0.9
    assert start(given, found, up)['distance'] > 1


# Its JavaScript


@pytest.fixture(scope='module')
def engine():
    """Values of expressions in which `values` stand as variables."""
    context = pytest.importorskip('quickjs', reason='pip install quickjs==1.19.4').Context()
    for name in ('camera.js', 'sort.js', 'scene.js'):
        context.eval(asset(name))

    def evaluate(expression, **values):
        for name, value in values.items():
            context.eval(f'var {name} = {json.dumps(np.asarray(value).tolist())}')
        return json.loads(context.eval(f'JSON.stringify({expression})'))

    return evaluate


@pytest.mark.oracles
@pytest.mark.parametrize('count', [1, 3000])
def test_the_farthest_come_first(engine, count):
    draw = np.random.default_rng(count)
    means = draw.normal(size=(count, 3)).astype(np.float32)
    means[count // 2 :: 3] = means[0]  # depths that are equal
    axis = np.float64([0.3, -0.5, 0.8, 0.4])
    depth = means[:, 0] * axis[0] + means[:, 1] * axis[1] + means[:, 2] * axis[2] + axis[3]
    depth = depth.astype(np.float32)
    expected = np.lexsort([-np.arange(count), -depth])
    expected = expected[depth[expected] > 0.01]
    found = engine(
        'Array.from(farthestFirst(new Float32Array(means), axis, 0.01))',
        means=means.ravel(),
        axis=axis,
    )
    assert count == 1 or 1000 < len(expected) < count - 500
    np.testing.assert_array_equal(found, expected)


@pytest.mark.oracles
@pytest.mark.parametrize('degree', [0, 2, 3])
def test_the_scene_is_read(engine, degree):
    given = scene(20, degree)
    packed = viewer.pack(given)
    (_, _, *ranges), rows = table(packed)
    found = engine(
        '(({rows, positions, ...rest}) => ({...rest, rows: Array.from(rows),'
        ' positions: Array.from(positions)}))(opened(new Uint8Array(bytes).buffer))',
        bytes=np.frombuffer(zlib.decompress(packed), np.uint8),
    )
    assert (found['count'], found['degree'], 16 * found['texels']) == (20, degree, rows.shape[1])
    np.testing.assert_array_equal(found['rows'], rows.ravel())
    np.testing.assert_array_equal(found['positions'], given.means.ravel())
    np.testing.assert_allclose(found['ranges'], ranges, rtol=1e-7)


@pytest.fixture
def view(engine):
    found = start(scene(), camera())
    engine('0', view=found)
    return found


def moved(engine, expression):
    """The view after it, its target in the world and its eye."""
    found = engine(expression)
    pose = np.reshape(found['pose'], (3, 4))
    np.testing.assert_allclose(pose[:, :3] @ pose[:, :3].T, np.eye(3), atol=1e-6)
    world = pose[:, :3].T @ (np.array([[0, 0, 0], [0, 0, found['distance']]]).T - pose[:, 3:])
    return pose, world[:, 1], world[:, 0]


@pytest.mark.oracles
def test_orbits(engine, view):
    """About an axis as `orbit` turns, always about what is looked at, never over the top."""
    pose, target, eye = moved(engine, 'view')
    turn = jax.tree.map(np.asarray, orbit(camera(), target, jnp.array([0.0, 0, 1]), 5))
    # Its near side follows to the right: the camera goes clockwise, seen from above.
    for i in range(5):
        found, same, _ = moved(engine, f'orbited(view, {-2 * np.pi * i / 5}, 0)')
        np.testing.assert_allclose(found, turn.pose[i], atol=2e-6)
        np.testing.assert_allclose(same, target, atol=1e-6)
    found, same, above = moved(engine, 'orbited(view, 0.4, 0.3)')
    np.testing.assert_allclose(same, target, atol=1e-6)
    assert above[2] > eye[2] and abs(found[0, 2]) < 1e-6  # its horizon stays level
    near = np.linalg.norm(above - target), np.linalg.norm(eye - target)
    assert near[0] == pytest.approx(near[1], rel=1e-6)
    for far, side in ((10, 1), (-10, -1)):
        found, *_ = moved(engine, f'orbited(orbited(view, 0, {far}), 1, {far})')
        assert found[2, 2] * side == pytest.approx(-np.sin(1.55), abs=1e-6)
    back, *_ = moved(engine, 'orbited(orbited(view, 0, 0.2), 0, -0.2)')
    np.testing.assert_allclose(back, pose, atol=1e-6)


@pytest.mark.oracles
def test_pans_and_zooms(engine, view):
    _, target, eye = moved(engine, 'view')
    x, y, z = moved(engine, 'panned(view, 12, -7)')[0] @ np.append(target, 1)
    pixel = 300 * np.array([x, y]) / z
    np.testing.assert_allclose(pixel, [12, -7], atol=1e-4)  # from the middle of the image
    _, same, nearer = moved(engine, 'zoomed(view, 0.5)')
    np.testing.assert_allclose(same, target, atol=1e-6)
    np.testing.assert_allclose(nearer, (eye + target) / 2, atol=1e-6)
    np.testing.assert_allclose(engine('eye(view)'), eye, atol=1e-6)
    wide = engine('fitted(view, 400, 120)')
    assert (wide['focal'], wide['center']) == ([150, 150], [200, 60])
