"""Random masks to learn inpainting from: True where the picture is kept.

kept = draw(keys, height, width)                       # [b h w 1]
condition = Condition(image=known(x0, kept))           # what a network that fills in is told

Each shape is a function of one key, and hides at least one pixel and keeps at least one of every
picture with sides of at least 8. Rows and columns are measured at the middles of pixels.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Key

STROKES = 4  # at most
STEPS = 6  # of a stroke
STEP = 0.15  # its length; the unit is the square root of the picture's area
TURN = 1.4  # between steps, at most, in radians
RADIUS = (0.04, 0.08)  # half the width of a stroke
Mask = Bool[Array, 'h w']


def draw(keys: Key[Array, 'b'], height: int, width: int) -> Bool[Array, 'b h w 1']:
    """One of the shapes below for each key, all equally likely."""

    def one(key):
        kind, key = jax.random.split(key)
        # Under vmap a switch computes every branch as well.
        shapes = jnp.stack([shape(key, height, width) for shape in SHAPES])
        return shapes[jax.random.randint(kind, (), 0, len(SHAPES)), ..., None]

    return jax.vmap(one)(keys)


def known(x0: Float[Array, 'b h w c'], kept: Bool[Array, '*b h w 1']) -> Float[Array, 'b h w c+1']:
    """The kept part of the pictures, zeros elsewhere, and which part it is."""
    place = jnp.broadcast_to(kept, (*x0.shape[:-1], 1))
    return jnp.concatenate([jnp.where(place, x0, 0), place.astype(x0.dtype)], axis=-1)


def nothing(shape: tuple[int, ...]) -> Float[Array, 'b h w c+1']:
    """What is known of pictures [b h w c] of which nothing is."""
    return jnp.zeros((*shape[:-1], shape[-1] + 1))


def rectangle(key: Key[Array, ''], height: int, width: int) -> Mask:
    """Hides a rectangle inside the picture, between a quarter and three quarters of each side."""
    sides = jnp.array([height, width])
    sizes, places = jnp.split(jax.random.uniform(key, (4,)), 2)
    size = jnp.round((0.25 + 0.5 * sizes) * sides).astype(int)
    start = jnp.floor(places * (sides - size + 1)).astype(int)
    rows, columns = jnp.arange(height) - start[0], jnp.arange(width) - start[1]
    rows, columns = (rows >= 0) & (rows < size[0]), (columns >= 0) & (columns < size[1])
    return ~(rows[:, None] & columns)


def half_plane(key: Key[Array, ''], height: int, width: int) -> Mask:
    """Hides one side of a line in any direction through a point of the middle half of the picture
    (half of each side): between 1/8 and 7/8 of the pixels, but for the border."""
    angle, row, column = jax.random.uniform(key, (3,))
    rows, columns = middles(height, width)
    rows = rows - (0.25 + 0.5 * row) * height
    columns = columns - (0.25 + 0.5 * column) * width
    angle = 2 * jnp.pi * angle
    return rows * jnp.sin(angle) + columns * jnp.cos(angle) > 0


def strokes(key: Key[Array, ''], height: int, width: int) -> Mask:
    """Hides what is near to random walks, as if scribbled over with a pen.

    At most 4 (6 * 0.15 * 0.16 + 0.08^2 pi) = 66% is hidden, or 74% of 8x8, where strokes have
    their least width."""
    chance = jax.random.uniform(key, (1 + STROKES * (STEPS + 4),))
    near = stroke(chance[1:].reshape(STROKES, -1), height, width)
    count = 1 + jnp.floor(STROKES * chance[0])
    return ~(near & (jnp.arange(STROKES) < count)[:, None, None]).any(0)


def stroke(chance: Float[Array, 'n 10'], height: int, width: int) -> Bool[Array, 'n h w']:
    """True along walks which begin anywhere and turn a little after each step; what would be
    outside is drawn along the border. `chance` is uniform in 0 ... 1."""
    sides, unit = jnp.array([height, width]), (height * width) ** 0.5
    start, angle, breadth, turns = jnp.split(chance, (2, 3, 4), axis=1)
    angles = 2 * jnp.pi * angle + jnp.cumsum(TURN * (2 * turns - 1), axis=1)
    steps = STEP * unit * jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1)
    walk = jnp.cumsum(jnp.concatenate([(start * sides)[:, None], steps], 1), axis=1)
    walk = jnp.clip(walk, 0, sides)[:, :, None, None]
    points = jnp.stack(jnp.broadcast_arrays(*middles(height, width)), -1)
    away = distance(points, walk[:, :-1], walk[:, 1:]).min(1)
    # At least half the diagonal of a pixel, so that no stroke passes between pixels.
    radius = unit * (RADIUS[0] + (RADIUS[1] - RADIUS[0]) * breadth)
    return away < jnp.maximum(radius, 0.71)[:, None]


def distance(
    points: Float[Array, '*n 2'], begin: Float[Array, '*n 2'], end: Float[Array, '*n 2']
) -> Float[Array, '*n']:
    """To the segment from begin to end; all broadcast."""
    along, away = end - begin, points - begin
    length = jnp.square(along).sum(-1)
    part = jnp.clip((away * along).sum(-1) / jnp.maximum(length, 1e-12), 0, 1)
    return jnp.linalg.norm(away - part[..., None] * along, axis=-1)


def middles(height: int, width: int) -> tuple[Float[Array, 'h 1'], Float[Array, '1 w']]:
    """Rows and columns of the middles of pixels."""
    return jnp.arange(height)[:, None] + 0.5, jnp.arange(width)[None] + 0.5


SHAPES = (rectangle, half_plane, strokes)
