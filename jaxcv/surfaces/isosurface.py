"""Meshes from functions of space: densities of radiance fields, signed distances.

Functions are called with the same number of points every time: jit them.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float
from skimage import measure

from jaxcv.errors import UserError, choose
from jaxcv.surfaces.mesh import Mesh, largest_component, vertex_normals

CHUNK = 1 << 18  # points for one call of a function

Scalar = Callable[[Float[Array, 'n 3']], Float[Array, 'n']]
Vector = Callable[[Float[Array, 'n 3']], Float[Array, 'n 3']]
_normals = jax.jit(vertex_normals)


def extract(
    function: Scalar,
    low: Sequence[float],
    high: Sequence[float],
    resolution: int | Sequence[int],
    level: float = 0.0,
    *,
    inside: str = 'below',
    color: Vector | None = None,
    largest: bool = False,
    chunk: int = CHUNK,
) -> Mesh:
    """The surface function = level within the box from low to high, in numpy.

    `inside` is what the function is within the object: 'below' the level (a signed distance) or
    'above' it (a density). `color` gives the colors of vertices; `largest` keeps only the largest
    piece. Where the object leaves the box, the surface is open.
    """
    values = sampled(function, low, high, resolution, chunk)
    spacing = (np.subtract(high, low)) / (np.array(values.shape) - 1)
    mesh = marching_cubes(values, level, low, spacing, inside=inside)
    if largest:
        mesh = largest_component(mesh)
    if color is not None:
        mesh = mesh._replace(colors=np.clip(evaluated(color, mesh.vertices, chunk), 0, 1))
    return mesh


def sampled(
    function: Scalar,
    low: Sequence[float],
    high: Sequence[float],
    resolution: int | Sequence[int],
    chunk: int = CHUNK,
) -> Float[np.ndarray, 'x y z']:
    """Values on a grid whose corners are low and high, `resolution` points along each axis."""
    shape = tuple(int(size) for size in np.broadcast_to(resolution, 3))
    if min(shape) < 2:
        raise UserError(f'a grid of {shape} points has no cells: choose a resolution of at least 2')
    low, high = np.float32(low), np.float32(high)
    step = (high - low) / (np.float32(shape) - 1)
    total = int(np.prod(shape))
    chunk = min(chunk, total)

    @jax.jit
    def points(first):
        places = jnp.minimum(first + jnp.arange(chunk), total - 1)
        return low + step * jnp.stack(jnp.unravel_index(places, shape), -1)

    values = np.empty(total, np.float32)
    for first in range(0, total, chunk):
        values[first : first + chunk] = function(points(first))[: total - first]
    return values.reshape(shape)


def evaluated(
    function: Vector, points: Float[np.ndarray, 'n 3'], chunk: int = CHUNK
) -> Float[np.ndarray, 'n d']:
    """The function of every point, `chunk` of them at a time; the last ones are filled up."""
    chunk = min(chunk, len(points))
    values = []
    for first in range(0, len(points), chunk):
        some = points[first : first + chunk]
        filled = np.pad(some, [(0, chunk - len(some)), (0, 0)], mode='edge')
        values.append(np.asarray(function(filled))[: len(some)])
    return np.concatenate(values)


def marching_cubes(
    values: Float[np.ndarray, 'x y z'],
    level: float,
    low: Sequence[float],
    spacing: Sequence[float],
    *,
    inside: str = 'below',
    mask: np.ndarray | None = None,
) -> Mesh:
    """The surface values = level with normals, where all corners of a cell are in the mask; point
    (i, j, k) of the grid lies at low + spacing (i, j, k). Lewiner et al. 2003, in scikit-image."""
    choose(inside, ('above', 'below'), 'inside')
    values = np.array(values, np.float32)  # scikit-image wants to be able to write
    known = values if mask is None else values[mask]
    if not (known.size and known.min() <= level <= known.max()):
        span = f'run from {known.min():g} to {known.max():g}' if known.size else 'are none'
        raise UserError(f'there is no surface at level {level:g}: the values {span}')
    # scikit-image calls faces that are clockwise from outside its default.
    direction = 'descent' if inside == 'below' else 'ascent'
    try:
        vertices, faces, _, _ = measure.marching_cubes(
            values,
            level,
            mask=None if mask is None else _cells(mask),
            gradient_direction=direction,
            allow_degenerate=False,
        )
    except RuntimeError as error:
        raise UserError(f'there is no surface at level {level:g} inside the mask') from error
    vertices = np.float32(low) + np.float32(spacing) * vertices
    mesh = Mesh(vertices, faces.astype(np.int32))
    return mesh._replace(normals=np.asarray(_normals(mesh)))


def _cells(mask):
    """Cells with all corners in the mask, where scikit-image looks for them: at the last corner."""
    cells = np.zeros(mask.shape, bool)
    whole = mask[1:] & mask[:-1]
    whole = whole[:, 1:] & whole[:, :-1]
    cells[1:, 1:, 1:] = whole[..., 1:] & whole[..., :-1]
    return cells
