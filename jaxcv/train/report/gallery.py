"""Pictures and videos over training time, inside the page."""

import base64
import json
from pathlib import Path
from urllib.parse import quote

from jaxcv.train.report.text import escape
from jaxcv.viz.files import size

PICTURES, VIDEOS = 12, 3  # most of one name in the page
BYTES = 4 * 2**20  # most of one name in the page
VIDEO_BYTES = 2 * 2**20  # longer videos stay beside the page
WIDE = 720  # pixels from which a picture gets the whole width of the page
KINDS = {'.png': 'image/png', '.mp4': 'video/mp4'}


def section(folder: Path) -> str:
    """A film for each name in `folder`: <name>/<step>.png or .mp4, captions in index.json."""
    files = sorted(path for path in folder.rglob('*') if _is_media(path, folder))
    names: dict[str, list[Path]] = {}
    for path in files:
        names.setdefault(str(path.parent.relative_to(folder)), []).append(path)
    if not names:
        return ''
    captions = _captions(folder / 'index.json')
    order = list(dict.fromkeys(path.rpartition('/')[0] for path in captions))  # as `show` gave them
    films = (
        _film(name, names[name], captions, folder)
        for name in sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n))
    )
    return f'<div class=films>{"".join(films)}</div>'


def thin(items: list, most: int) -> list:
    """At most `most` of them, evenly spread; the last always, the first if there is room."""
    if len(items) <= most:
        return items
    last = len(items) - 1
    return [items[last - round(i * last / max(most - 1, 1))] for i in reversed(range(most))]


def _is_media(path, folder):
    hidden = any(part.startswith('.') for part in path.relative_to(folder).parts)
    return path.suffix in KINDS and not hidden


def _captions(index):
    try:
        return json.loads(index.read_text())
    except (OSError, ValueError):
        return {}


def _film(name, paths, captions, folder):
    videos = paths[-1].suffix == '.mp4'
    shown = thin(paths, VIDEOS if videos else PICTURES)
    while len(shown) > 1 and sum(path.stat().st_size for path in shown) > BYTES:
        shown = thin(shown, len(shown) // 2)
    frames = ''.join(_frame(path, captions, folder) for path in shown)
    slider = ''
    if len(shown) > 1:
        last = len(shown) - 1
        slider = (
            f'<input type=range min=0 max={last} value={last}'
            f' aria-label="{escape(name)}: which step">'
        )
    wide = not videos and any(size(path.read_bytes())[0] >= WIDE for path in shown)
    kind = 'film wide' if wide else 'film'
    return (
        f'<div class="{kind}"><h3>{escape(name)}</h3><div class=stack>{frames}</div>{slider}</div>'
    )


def _frame(path, captions, folder):
    relative = path.relative_to(folder)
    step = int(path.stem) if path.stem.isdigit() else path.stem
    step = f'step {step:,}' if isinstance(step, int) else escape(step)
    caption = escape(captions.get(str(relative), ''))
    if path.suffix == '.png':
        item = f'<img src="{_data(path)}" alt="{caption or step}">'
    elif path.stat().st_size < VIDEO_BYTES:
        item = f'<video src="{_data(path)}" controls loop muted autoplay playsinline></video>'
    else:
        size = path.stat().st_size / 2**20
        link = f'{folder.name}/{relative}'
        item = f'<a href="{quote(link)}">{escape(link)}</a> ({size:.1f} MB, beside this page)'
    return f'<figure>{item}<figcaption><b>{step}</b> {caption}</figcaption></figure>'


def _data(path):
    return f'data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}'
