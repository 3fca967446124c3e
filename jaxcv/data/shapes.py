"""The shapes world: small scenes of colored shapes with class, box, mask and caption.

A scene is a pure function of (seed, index, size), so the world is as large as one likes. Shapes are
drawn from signed distances d in pixels: a pixel's coverage is clip(1/2 - d, 0, 1).
"""

from dataclasses import dataclass

import numpy as np

from jaxcv.data.dataset import Dataset, Example

SHAPES = ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
COLORS = {
    'red': (230, 40, 40),
    'green': (50, 190, 70),
    'blue': (60, 100, 255),
    'yellow': (245, 220, 50),
    'purple': (165, 70, 220),
    'cyan': (60, 215, 225),
    'orange': (250, 140, 30),
    'white': (250, 250, 250),
}
MAX_OBJECTS = 3
SEEDS = {'train': 0, 'test': 1}
_TRIES = 40  # places tried for an object before the scene does without it


@dataclass(frozen=True)
class Scenes:
    """`count` scenes as a source of examples."""

    seed: int
    count: int
    size: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        return scene(self.seed, index, self.size)


def scenes(count: int, seed: int = 0, size: int = 32) -> Dataset:
    """A data set of any length, drawn as it is read; `load('shapes')` is a stored one."""
    return Dataset('scenes', Scenes(seed, count, size), SHAPES)


def scene(seed: int, index: int, size: int = 32) -> Example:
    """Scene `index` of the world `seed`, with 1 to 3 objects that do not overlap, largest first.

    image    uint8 [size size 3]
    label    int32, the class of the largest object (an index into `SHAPES`)
    boxes    float32 [3 4], xyxy in pixels, tight around the mask; 0 where absent
    classes  int32 [3], indices into `SHAPES`; -1 where absent
    colors   int32 [3], indices into `COLORS`; -1 where absent
    present  bool [3]
    mask     uint8 [size size], 0 for the background, i + 1 for object i
    caption  str: 'a red circle above a blue square and an orange star'
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, index]))
    canvas = _background(rng, size)
    objects = []
    for place in _places(rng, size):
        shape, color = int(rng.integers(len(SHAPES))), int(rng.integers(len(COLORS)))
        distance = signed_distance(
            SHAPES[shape], *turned(place, size, rng.uniform(-0.3, 0.3)), place[2]
        )
        coverage = np.clip(0.5 - distance, 0, 1)[..., None]
        canvas = canvas * (1 - coverage) + coverage * np.array(list(COLORS.values())[color])
        objects.append((distance <= 0, shape, color, place))
    objects.sort(key=lambda item: -item[0].sum())
    return {'image': np.round(canvas).astype(np.uint8)} | _record(objects, size)


def _record(objects, size):
    boxes = np.zeros((MAX_OBJECTS, 4), np.float32)
    classes, colors = np.full((2, MAX_OBJECTS), -1, np.int32)
    mask = np.zeros((size, size), np.uint8)
    for i, (inside, shape, color, _) in enumerate(objects):
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        classes[i], colors[i] = shape, color
        mask[inside] = i + 1
    return {
        'label': np.int32(classes[0]),
        'boxes': boxes,
        'classes': classes,
        'colors': colors,
        'present': classes >= 0,
        'mask': mask,
        'caption': np.array(_caption(objects)),
    }


def _caption(objects):
    names = []
    for _, shape, color, _ in objects:
        phrase = f'{list(COLORS)[color]} {SHAPES[shape]}'
        names.append(f'{"an" if phrase[0] in "aeiou" else "a"} {phrase}')
    if len(objects) == 1:
        return names[0]
    (x0, y0, _), (x1, y1, _) = objects[0][3], objects[1][3]
    if abs(x1 - x0) > abs(y1 - y0):
        relation = 'left of' if x0 < x1 else 'right of'
    else:
        relation = 'above' if y0 < y1 else 'below'
    return ' and '.join([f'{names[0]} {relation} {names[1]}', *names[2:]])


def _places(rng, size):
    """Centers and radii (x, y, r), in pixels, of disks that keep a pixel apart."""
    count = int(rng.integers(1, MAX_OBJECTS + 1))
    low, high = (0.2, 0.36) if count == 1 else (0.13, 0.24)
    places = []
    for _ in range(count):
        for _ in range(_TRIES):
            radius = rng.uniform(low, high) * size
            x, y = rng.uniform(radius + 1, size - radius - 1, 2)
            if all(np.hypot(x - u, y - v) > radius + r + 1 for u, v, r in places):
                places.append((x, y, radius))
                break
    return places


def turned(place, size, angle):
    """Coordinates of the pixel centers about a place, turned by `angle`."""
    x = np.arange(size) + 0.5 - place[0]
    y = (np.arange(size) + 0.5 - place[1])[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def signed_distance(shape, x, y, r):
    """Signed distance, negative inside, of a shape of circumradius r. y points down."""
    if shape == 'circle':
        return np.hypot(x, y) - r
    if shape == 'ring':
        return np.abs(np.hypot(x, y) - 0.75 * r) - 0.25 * r
    if shape == 'square':
        return np.maximum(np.abs(x), np.abs(y)) - r / np.sqrt(2)
    if shape == 'triangle':  # three half-planes at the inradius, one corner up
        sides = [np.sin(a) * x + np.cos(a) * y for a in (0, 2 * np.pi / 3, 4 * np.pi / 3)]
        return np.max(sides, axis=0) - r / 2
    if shape == 'cross':
        arm = r * 0.3
        bar = np.sqrt(r * r - arm * arm)
        across = np.maximum(np.abs(x) - bar, np.abs(y) - arm)
        return np.minimum(across, np.maximum(np.abs(x) - arm, np.abs(y) - bar))
    return _star(x, y, r, 0.45 * r)


def _star(x, y, outer, inner):
    """Five points: the plane folded onto half a point, whose side is one line."""
    sector = 2 * np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + sector / 2) % sector - sector / 2)
    radius = np.hypot(x, y)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    du, dv = inner * np.cos(sector / 2) - outer, inner * np.sin(sector / 2)
    return ((u - outer) * dv - v * du) / np.hypot(du, dv)


def _background(rng, size):
    """A dim plain, striped, checkered or cloudy ground, float [size size 3] in [0, 255]."""
    base = rng.uniform(20, 100) + rng.uniform(-15, 15, 3)
    kind = int(rng.integers(4))
    x = (np.arange(size) + 0.5) / size
    y = x[:, None]
    angle, waves = rng.uniform(0, 2 * np.pi), rng.uniform(2, 6)
    if kind == 0:
        pattern = np.zeros((size, size))
    elif kind == 1:
        pattern = np.sin(2 * np.pi * waves * (np.cos(angle) * x + np.sin(angle) * y))
    elif kind == 2:
        pattern = np.sign(np.sin(np.pi * waves * x + angle) * np.sin(np.pi * waves * y + angle))
    else:
        grid = rng.uniform(-1, 1, (5, 5))
        weights = np.maximum(1 - np.abs(4 * y - np.arange(5)), 0)  # linear interpolation
        pattern = weights @ grid @ weights.T
    return np.clip(base + rng.uniform(5, 15) * pattern[..., None], 0, 255)
