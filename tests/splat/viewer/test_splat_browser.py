"""What a browser shows, against what `rasterize` does: colors, depth, and after being moved."""

import threading
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
import splat_browser as browser
from jax import numpy as jnp
from PIL import Image

from jaxcv.cameras import compose, cropped, look_at, make, resized, so3_exp
from jaxcv.splat import Gaussians, activated, rasterize, viewer
from jaxcv.splat.viewer.start import start

pytestmark = [pytest.mark.oracles, pytest.mark.usefixtures('optimized')]
WIDTH, HEIGHT = 200, 150
ENOUGH = 48  # dB; 8 bits of a pixel alone allow 59
POSE = look_at(jnp.array([0.3, -3.0, 0.5]), jnp.array([0.1, 0, 0]), jnp.array([0.0, 0, 1]))
CAMERA = make(POSE, jnp.array([240.0, 260]), WIDTH, HEIGHT, center=jnp.array([103.0, 72]))
# Among the Gaussians, most of which are beside and behind it.
INSIDE = replace(CAMERA, pose=CAMERA.pose.at[2, 3].add(-2.6))
MOVES = """
commands.bare();
const send = (type, id, x, y, more) => canvas.dispatchEvent(new PointerEvent(type,
  {pointerId: id, clientX: x, clientY: y, bubbles: true, ...more}));
send('pointerdown', 1, 100, 100);
send('pointermove', 1, 130, 88);  // turns
send('pointermove', 1, 120, 108, {shiftKey: true});  // moves
send('pointerdown', 2, 170, 108);
send('pointermove', 2, 180, 108);  // moves by half of it, and is 1.2 times as far apart
send('pointerup', 1, 120, 108);
send('pointerup', 2, 180, 108);
canvas.dispatchEvent(new WheelEvent('wheel', {deltaY: 200}));
"""


def scene(seed=0, degree=4) -> Gaussians:
    draw = np.random.default_rng(seed)
    sh = 0.15 * draw.normal(size=(200, (degree + 1) ** 2, 3))
    sh[:, 0] = draw.uniform(-1.5, 1.5, (200, 3))
    made = Gaussians(
        means=draw.uniform(-1, 1, (200, 3)),
        log_scales=draw.uniform(-5, -1, (200, 3)),
        rotations=draw.normal(size=(200, 4)),
        opacity_logits=draw.uniform(-4, 3, 200),
        sh=sh,
    )
    return jax.tree.map(np.float32, made)


def needles() -> Gaussians:
    """Thinner than a pixel."""
    given = scene(1)
    return given._replace(log_scales=given.log_scales * [0, 0, 1] + np.float32([-7, -6, 0]))


class Told:
    """A scene that becomes another one after it has been seen."""

    def __init__(self):
        self.asked = 0

    def tag(self):
        self.asked += 1
        return f'step {min(self.asked, 2)}'

    def load(self):
        return f'step {self.asked}', scene(self.asked, degree=self.asked)


@pytest.fixture(scope='module')
def seen(tmp_path_factory):
    """name -> what the browser shows."""
    if not browser.found():
        pytest.skip(browser.MISSING)
    page = viewer.page(scene(), CAMERA)
    thin = viewer.page(needles(), CAMERA, antialiased=True, background='black')
    told = Told()
    live = viewer.assemble(start(scene(), CAMERA), source=viewer.SOURCE)
    with viewer.server(live, viewer.Source(told.tag, told.load), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f'http://127.0.0.1:{server.server_port}/'
        bare, wait = 'commands.bare();', "window.ready = () => told === 'step 2';"
        jobs = {
            'color': (page, bare, WIDTH, HEIGHT),
            'degree': (page, f'{bare} change({{degree: 1, background: "black"}})', WIDTH, HEIGHT),
            'deep': (page, f'{bare} commands.deep()', WIDTH, HEIGHT),
            'moved': (page, MOVES, WIDTH, HEIGHT),
            'wide': (page, bare, 220, 75),
            'thin': (thin, bare, WIDTH, HEIGHT),
            'inside': (viewer.page(scene(), INSIDE), bare, WIDTH, HEIGHT),
            'live': (address, bare + wait, WIDTH, HEIGHT),
            'words': (page, '', WIDTH, HEIGHT),
        }
        files = browser.pictures(tmp_path_factory.mktemp('pictures'), list(jobs.values()))
        server.shutdown()
    found = (np.asarray(Image.open(file).convert('RGB')) / np.float32(255) for file in files)
    return dict(zip(jobs, found, strict=True))


@partial(jax.jit, static_argnames='antialiased')
def rendered(splats, camera, antialiased):
    return rasterize(splats, camera, capacity=2**15, antialiased=antialiased)


def ours(gaussians, camera=CAMERA, antialiased=False):
    """Our rendering; of all scenes as of degree 4, so that one program does for all."""
    missing = 25 - gaussians.sh.shape[1]
    full = gaussians._replace(sh=np.pad(gaussians.sh, ((0, 0), (0, missing), (0, 0))))
    view = rendered(activated(jax.tree.map(jnp.asarray, full)), camera, antialiased)
    assert view.overflow == 0
    return view


def likeness(found, gaussians, camera=CAMERA, background=1.0, antialiased=False):
    """PSNR between what is seen and what we render."""
    view = ours(gaussians, camera, antialiased)
    return decibels(found, view.color + (1 - view.alpha)[..., None] * background)


def decibels(found, expected):
    assert found.shape == expected.shape
    return -10 * np.log10(np.mean(np.square(found - np.clip(expected, 0, 1))))


def test_colors(seen):
    given = scene()
    assert likeness(seen['color'], given) > ENOUGH
    assert likeness(seen['color'], given._replace(sh=given.sh[:, :16])) < 40  # all degrees count


def test_fewer_degrees(seen):
    given = scene()
    first = given._replace(sh=given.sh[:, :4])
    assert likeness(seen['degree'], first, background=0.0) > ENOUGH


def test_depth(seen):
    """A gray of 1 / (1 + d), where d is the depth in units of the distance of the target."""
    view = ours(scene())
    deep = view.expected / start(scene(), CAMERA)['distance']
    gray = view.alpha / (1 + deep) + 1 - view.alpha
    assert decibels(seen['deep'], np.broadcast_to(gray[..., None], (HEIGHT, WIDTH, 3))) > ENOUGH


def test_after_it_is_moved(seen):
    """By a drag, one with shift, two fingers and the wheel."""
    begin = start(scene(), CAMERA)
    pose, distance = CAMERA.pose, begin['distance']
    up = pose[:, :3] @ jnp.array(begin['up'])
    rate = jnp.pi / HEIGHT
    down, right = so3_exp(jnp.array([-12 * rate, 0, 0])), so3_exp(30 * rate * up)
    target = jnp.array([0, 0, distance])
    turn = down @ right
    pose = compose(jnp.concatenate([turn, (target - turn @ target)[:, None]], 1), pose)
    pixels = np.array([-10 + 10 / 2, 20])
    pose = pose.at[:2, 3].add(pixels * distance / CAMERA.focal)
    pose = pose.at[2, 3].add(distance * (np.exp(0.2) / 1.2 - 1))
    assert likeness(seen['moved'], scene(), replace(CAMERA, pose=pose)) > ENOUGH
    assert likeness(seen['moved'], scene()) < 30


def test_in_a_window_of_another_shape(seen):
    fitted = cropped(resized(CAMERA, 100, 75), -60, 0, 220, 75)
    assert likeness(seen['wide'], scene(), fitted) > ENOUGH


def test_among_gaussians(seen):
    assert likeness(seen['inside'], scene(), INSIDE) > ENOUGH


def test_antialiased(seen):
    thin = partial(likeness, seen['thin'], needles(), background=0.0)
    assert thin(antialiased=True) > ENOUGH and thin() < 30


def test_a_scene_that_becomes_another(seen):
    assert likeness(seen['live'], scene(2, degree=2)) > ENOUGH


def test_words(seen):
    """Over the picture, in its lower part."""
    apart = np.abs(seen['words'] - seen['color']).max((1, 2))
    assert apart[HEIGHT // 3 :].max() > 0.2 and apart[: HEIGHT // 3].max() == 0
