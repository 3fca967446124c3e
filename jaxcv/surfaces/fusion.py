"""Depth pictures fused into a volume of truncated signed distances (Curless and Levoy 1996)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float
from scipy import ndimage

from jaxcv.cameras import Camera, placed
from jaxcv.cameras.view import SOLID, View
from jaxcv.surfaces.isosurface import marching_cubes
from jaxcv.surfaces.mesh import Mesh, largest_component

TINY = 1e-30
TRUNCATION = 4.0  # spacings


class Volume(NamedTuple):
    """What is known at the points low + spacing (i, j, k). Distances are positive outside."""

    low: Float[Array, '3']
    spacing: Float[Array, '']
    distances: Float[Array, 'x y z']
    weights: Float[Array, 'x y z']  # sums of the weights of all pixels seen; 0: nothing is known
    colors: Float[Array, 'x y z 3']  # near the surface
    color_weights: Float[Array, 'x y z']


def empty(low: Sequence[float], spacing: float, shape: tuple[int, int, int]) -> Volume:
    """A volume of which nothing is known; `shape` points from the corner `low` on."""
    return Volume(
        jnp.asarray(low, jnp.float32),
        jnp.asarray(spacing, jnp.float32),
        jnp.zeros(shape),
        jnp.zeros(shape),
        jnp.zeros((*shape, 3)),
        jnp.zeros(shape),
    )


def fused(
    volume: Volume,
    cameras: Camera,
    depths: Float[Array, 'b h w'],
    pictures: Float[Array, 'b h w 3'],
    truncation: float,
    weights: Float[Array, 'b h w'] | None = None,
) -> Volume:
    """The volume with b more views, each pixel of the given weight (else 1).

    A point of the volume takes part in the pixel that it falls into, with the distance depth - z
    (both along the camera's axis), cut at `truncation`, unless it lies deeper behind the surface.
    It takes the pixel's color if it lies no further before the surface either. Pixels whose depth
    is not positive and finite are empty. All is a running weighted average, so that the order of
    the views does not matter. Choose `truncation` as a few spacings.
    """
    weights = jnp.ones_like(depths) if weights is None else weights
    views = [x.reshape(len(depths), -1, *x.shape[3:]) for x in (depths, pictures, weights)]
    low, spacing, *known = volume
    y, z = (jnp.arange(size) for size in volume.distances.shape[1:])

    def slab(known):
        """One x at a time: nothing but the volume itself is as large as the volume."""
        x, *known = known
        places = jnp.stack(jnp.broadcast_arrays(x, y[:, None], z), -1)
        points = (low + spacing * places).reshape(-1, 3)

        def add(sums, view):
            return jax.tree.map(jnp.add, sums, _seen(points, *view, *views, truncation)), None

        distance, weight, color, color_weight = (x.reshape(len(points), -1) for x in known)
        sums = weight * distance, weight, color_weight * color, color_weight
        sums, _ = jax.lax.scan(add, sums, (jnp.arange(len(depths)), cameras))
        distances, weights, colors, color_weights = sums
        distances = distances / jnp.maximum(weights, TINY)
        colors = colors / jnp.maximum(color_weights, TINY)
        means = distances, weights, colors, color_weights
        return [new.reshape(old.shape) for new, old in zip(means, known, strict=True)]

    return Volume(low, spacing, *jax.lax.map(slab, (jnp.arange(len(known[0])), *known)))


def _seen(points, view, camera, depths, pictures, weights, truncation):
    """What one view adds to the sums: weighted distances, weights, the same of colors."""
    row, column, z, within = placed(camera, points)
    place = row * camera.width + column
    # Gathered out of all views: a slice of one would be copied for every slab.
    depth = depths[view, place]
    known = within & (depth > 0) & jnp.isfinite(depth)
    distance = jnp.where(known, depth - z, 0.0)
    weight = jnp.where(known & (distance > -truncation), weights[view, place], 0.0)
    near = jnp.where(distance < truncation, weight, 0.0)
    distance = jnp.minimum(distance, truncation)
    color = near[:, None] * pictures[view, place]
    return (weight * distance)[:, None], weight[:, None], color, near[:, None]


def surface(volume: Volume, least: float = 0.0) -> Mesh:
    """The mesh of distance 0 with colors, where all is known by weights above `least`; in numpy."""
    known = np.asarray(volume.weights) > least
    spacing = np.full(3, volume.spacing)
    mesh = marching_cubes(volume.distances, 0.0, volume.low, spacing, mask=known)
    places = ((mesh.vertices - np.asarray(volume.low)) / spacing).T

    colored = np.asarray(volume.color_weights) > least

    def interpolated(values):
        return ndimage.map_coordinates(np.where(colored, values, 0.0), places, order=1)

    share = np.maximum(interpolated(1.0), 1e-6)  # only neighbors of known color count
    colors = [interpolated(values) / share for values in np.moveaxis(volume.colors, -1, 0)]
    return mesh._replace(colors=np.clip(np.stack(colors, -1), 0, 1).astype(np.float32))


def agreed(views: View, cameras: Camera, resolution: int) -> Mesh:
    """The largest surface in [-1, 1]^3 that views [n h w] of a scene agree on, from a volume of
    `resolution`^3 points. What is not half opaque has no depth."""
    spacing = 2 / (resolution - 1)
    volume = empty((-1.0, -1.0, -1.0), spacing, (resolution,) * 3)
    colors = views.color / jnp.maximum(views.opacity, SOLID)[..., None]
    found = surface(fused(volume, cameras, views.surface, colors, TRUNCATION * spacing))
    return largest_component(found) if len(found.faces) else found
