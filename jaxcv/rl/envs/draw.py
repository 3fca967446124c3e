"""A tiny rasterizer: shapes as signed distances, edges one pixel soft. Pure, jits and vmaps.

Coordinates are (x, y) with y up; a `Canvas` says where its pixels lie. A shape is painted over a
picture with the share of each pixel that it covers, `clip(1/2 - distance / pixel, 0, 1)`.
"""

from jax import numpy as jnp
from jaxtyping import Array, Float, UInt8

Point = tuple[Float[Array, ''] | float, Float[Array, ''] | float]
Color = tuple[int, int, int]
Picture = Float[Array, 'h w 3']

PAPER = (250, 249, 245)
INK = (52, 58, 70)
GRAY = (176, 182, 192)
BLUE = (52, 110, 196)
RED = (214, 74, 62)
GREEN = (46, 150, 98)
GOLD = (236, 172, 50)


class Canvas:
    """h x w pixels over the rectangle from (left, bottom) on, `pixel` wide each."""

    def __init__(self, height: int, width: int, left: float, bottom: float, pixel: float):
        x = left + pixel * (jnp.arange(width, dtype=jnp.float32) + 0.5)
        y = bottom + pixel * (height - jnp.arange(height, dtype=jnp.float32) - 0.5)
        self.x, self.y, self.pixel = x[None, :], y[:, None], pixel
        self.shape = (height, width, 3)

    def blank(self, color: Color = PAPER) -> Picture:
        """One color everywhere."""
        return jnp.broadcast_to(jnp.array(color, jnp.float32), self.shape)

    def disc(self, picture: Picture, center: Point, radius: float, color: Color) -> Picture:
        """A filled circle."""
        away = length(self.x - center[0], self.y - center[1])
        return self.paint(picture, away - radius, color)

    def segment(
        self, picture: Picture, start: Point, end: Point, thickness: float, color: Color
    ) -> Picture:
        """A thick line with round ends."""
        along = (end[0] - start[0], end[1] - start[1])
        to = (self.x - start[0], self.y - start[1])
        square = jnp.maximum(along[0] ** 2 + along[1] ** 2, 1e-12)
        share = jnp.clip((to[0] * along[0] + to[1] * along[1]) / square, 0, 1)
        away = length(to[0] - share * along[0], to[1] - share * along[1])
        return self.paint(picture, away - thickness / 2, color)

    def rectangle(
        self, picture: Picture, center: Point, width: float, height: float, color: Color
    ) -> Picture:
        """An upright rectangle."""
        across = jnp.abs(self.x - center[0]) - width / 2
        up = jnp.abs(self.y - center[1]) - height / 2
        return self.paint(picture, jnp.maximum(across, up), color)

    def below(self, picture: Picture, height: Float[Array, 'w'], color: Color) -> Picture:
        """The ground under a curve, given at the middle of each column."""
        return self.paint(picture, self.y - height[None, :], color)

    def paint(self, picture: Picture, distance: Float[Array, 'h w'], color: Color) -> Picture:
        """The color where the signed distance is negative."""
        cover = jnp.clip(0.5 - distance / self.pixel, 0, 1)[..., None]
        return picture + cover * (jnp.array(color, jnp.float32) - picture)


def length(x, y):
    """Of a vector; `hypot` guards against overflow, which costs more than the rest."""
    return jnp.sqrt(x * x + y * y)


def finish(picture: Picture) -> UInt8[Array, 'h w 3']:
    """Rounded to bytes."""
    return jnp.round(picture).astype(jnp.uint8)


def tiles(
    cells: Float[Array, 'h w c'], colors: Float[Array, 'c 3'], size: int
) -> UInt8[Array, 'size*h size*w 3']:
    """A grid of cells, each `size` pixels wide, in the color of its last channel that is set.

    Cells where none is set are paper."""
    picture = jnp.broadcast_to(jnp.array(PAPER, jnp.float32), (*cells.shape[:2], 3))
    for channel in range(cells.shape[-1]):
        share = jnp.clip(cells[..., channel, None], 0, 1)
        picture = picture + share * (colors[channel] - picture)
    return enlarge(finish(picture), size)


def enlarge(picture: UInt8[Array, 'h w c'], size: int) -> UInt8[Array, 'size*h size*w c']:
    """Every pixel as a square of `size` by `size`."""
    height, width, channels = picture.shape
    spread = jnp.broadcast_to(picture[:, None, :, None], (height, size, width, size, channels))
    return spread.reshape(size * height, size * width, channels)


def hues(count: int) -> Float[Array, 'c 3']:
    """`count` colors, as different as they go, the golden angle apart on the circle of hues."""
    turn = 6 * ((0.6 + 0.381966 * jnp.arange(count)) % 1)[:, None]
    ramp = jnp.clip(jnp.abs((turn + jnp.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return jnp.round(60 + 165 * ramp)
