"""The page: one file, with all that it needs, that opens without a network."""

import base64
import html
import json
from importlib import resources
from string import Template
from typing import Any

from jaxtyping import Array, Float

from jaxcv.cameras import Camera
from jaxcv.errors import choose
from jaxcv.splat.blend import OPAQUEST
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.projection import BLUR, FAINT, MARGIN, SMALLEST
from jaxcv.splat.viewer.pack import pack
from jaxcv.splat.viewer.start import NEAR, start

SCRIPTS = ('camera.js', 'sort.js', 'scene.js', 'draw.js', 'main.js')
SHADERS = ('splat.vert', 'splat.frag', 'screen.vert', 'screen.frag')
BACKGROUNDS = ('white', 'black')
CONSTANTS = {
    'BLUR': BLUR, 'FAINT': FAINT, 'MARGIN': MARGIN, 'OPAQUEST': OPAQUEST, 'SMALLEST': SMALLEST,
}  # fmt: skip


def page(
    gaussians: Gaussians,
    camera: Camera,
    *,
    up: Float[Array, '3'] | None = None,
    title: str = '',
    background: str = 'white',
    antialiased: bool = False,
) -> str:
    """A page that shows a scene, with the scene in it.

    camera       where one begins; a window of its size shows what `rasterize` does
    up           which way is up in the world (see `start`)
    background   'white' or 'black', at first
    antialiased  as in `rasterize`
    """
    return assemble(
        start(gaussians, camera, up),
        scene=base64.b64encode(pack(gaussians)).decode(),
        title=title,
        background=background,
        antialiased=antialiased,
    )


def assemble(
    view: dict[str, Any],
    *,
    title: str = '',
    background: str = 'white',
    antialiased: bool = False,
    scene: str = '',
    source: str = '',
) -> str:
    """The page with a scene (base64) in it, or with the address where it finds one."""
    told = {
        'view': view,
        'title': title,
        'background': choose(background, BACKGROUNDS, 'the background'),
        'antialiased': antialiased,
        'near': NEAR,
        'source': source,
        'constants': ''.join(f'#define {name} {value}\n' for name, value in CONSTANTS.items()),
    }
    scripts = [f'<script id={_word(name)}>\n{asset(name)}</script>' for name in SCRIPTS]
    shaders = [f'<script type=text/plain id={name}>\n{asset(name)}</script>' for name in SHADERS]
    return Template(asset('page.html')).substitute(
        title=html.escape(title or 'Gaussians'),
        style=asset('page.css'),
        start=json.dumps(told).replace('<', '\\u003c'),
        scene=scene,
        scripts='\n'.join(shaders + scripts),
    )


def asset(name: str) -> str:
    """One of the files that the page is made of."""
    return (resources.files(__package__) / 'assets' / name).read_text('utf-8')


def _word(name):
    return name.partition('.')[0]
