"""Reads what a picture of the shapes world (`jaxcv.data.shapes`) shows, and whether a caption says
so: a judge of drawn pictures that was not trained."""

import re
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jaxcv.data.shapes import COLORS, SHAPES, signed_distance, turned

BRIGHT = 155  # every color has a channel above it, no background has
LEAST = 0.008  # of the picture: what is smaller is no object
ANGLES = np.linspace(-0.3, 0.3, 7)  # by which objects are turned
SUBPIXELS = 4  # along each side, where an area is measured
PALETTE = np.array(list(COLORS.values()), np.float32)
PHRASE = re.compile(rf'an? ({"|".join(COLORS)}) ({"|".join(SHAPES)})')
RELATIONS = {'left of': (1, 0), 'right of': (-1, 0), 'above': (0, 1), 'below': (0, -1)}


class Seen(NamedTuple):
    """An object, its place in pixels."""

    color: str
    shape: str
    x: float
    y: float


def seen(image: np.ndarray) -> list[Seen]:
    """The objects in a picture, uint8 [h w 3]: connected bright pixels, each named by the nearest
    color and by the shape that, drawn with their area about their center, covers them best."""
    pixels = image.astype(np.float32)
    parts, count = ndimage.label(pixels.max(-1) > BRIGHT)
    found = []
    for i in range(1, count + 1):
        inside = parts == i
        if inside.sum() >= LEAST * inside.size:
            y, x = (float(c) + 0.5 for c in ndimage.center_of_mass(inside))
            found.append(Seen(color_of(pixels[inside]), shape_of(inside, x, y), x, y))
    return found


def color_of(pixels: np.ndarray) -> str:
    """The color that lies nearest to most of the pixels [n 3]."""
    apart = np.square(pixels[:, None] - PALETTE).sum(-1)
    return list(COLORS)[np.bincount(apart.argmin(1), minlength=len(COLORS)).argmax()]


def shape_of(inside: np.ndarray, x: float, y: float) -> str:
    """The shape that overlaps most with `inside` [s s]."""
    best = {}
    for shape in SHAPES:
        radius = np.sqrt(inside.sum() / UNIT_AREA[shape])
        each = (turned((x, y), len(inside), angle) for angle in ANGLES)
        best[shape] = max(overlap(inside, signed_distance(shape, *at, radius) <= 0) for at in each)
    return max(best, key=best.get)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    return (a & b).sum() / max((a | b).sum(), 1)


def unit_area(shape: str) -> float:
    """Of the shape of circumradius 1."""
    line = np.linspace(-1, 1, 801)
    inside = signed_distance(shape, line, line[:, None], 1.0) <= 0
    return float(inside.mean() * 4)


UNIT_AREA = {shape: unit_area(shape) for shape in SHAPES}


def agrees(caption: str, image: np.ndarray, shapes: bool = True) -> bool:
    """Whether the picture shows the objects of the caption, no others, the first two in the place
    that it says; with `shapes` off, whether their colors and places are right."""

    def name(color, shape):
        return (color, shape) if shapes else color

    told = [name(*phrase) for phrase in PHRASE.findall(caption)]
    objects = seen(image)
    if sorted(told) != sorted(name(s.color, s.shape) for s in objects):
        return False
    relation = next((word for word in RELATIONS if f' {word} ' in caption), None)
    if relation is None:
        return True
    dx, dy = RELATIONS[relation]
    slack = image.shape[0] / 32  # where two objects lie on a diagonal, both words are right

    def placed(a, b):
        along = (b.x - a.x) * dx + (b.y - a.y) * dy
        across = (b.x - a.x) * dy + (b.y - a.y) * dx
        return along + slack >= abs(across)

    first, second = ([s for s in objects if name(s.color, s.shape) == told[i]] for i in (0, 1))
    return any(placed(a, b) for a in first for b in second if a is not b)


def withheld(caption: str, one_in: int) -> bool:
    """Whether the caption has one of the pairs of color and shape that training is not to see: one
    in `one_in`, spread over both, at most one of a shape if that is the number of colors."""
    colors, shapes = list(COLORS), list(SHAPES)
    pairs = [(colors.index(c), shapes.index(s)) for c, s in PHRASE.findall(caption)]
    return any((color + shape) % one_in == 0 for color, shape in pairs)
