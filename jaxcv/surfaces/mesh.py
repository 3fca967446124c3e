"""Triangle meshes: the record, normals, the largest piece, points drawn on the surface."""

from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

TINY = 1e-30


class Mesh(NamedTuple):
    """Triangles, counterclockwise from outside. Colors (0 to 1, as shown: sRGB) and unit normals
    belong to vertices."""

    vertices: Float[Array, 'v 3']
    faces: Int[Array, 'f 3']
    colors: Float[Array, 'v 3'] | None = None
    normals: Float[Array, 'v 3'] | None = None


class Sample(NamedTuple):
    """Points on a mesh, and where on it they are."""

    points: Float[Array, 'n 3']
    faces: Int[Array, 'n']
    weights: Float[Array, 'n 3']  # of the face's corners: barycentric coordinates


def areas(mesh: Mesh) -> Float[Array, 'f']:
    """Of the faces."""
    return jnp.sqrt(jnp.maximum(jnp.square(_crosses(mesh)).sum(-1), TINY)) / 2


def vertex_normals(mesh: Mesh) -> Float[Array, 'v 3']:
    """Means of the normals of the faces around each vertex, weighted by area; of unit length, but 0
    where there is no face."""
    crosses = jnp.repeat(_crosses(mesh), 3, axis=0)
    sums = jnp.zeros_like(mesh.vertices).at[mesh.faces.reshape(-1)].add(crosses)
    return sums / jnp.sqrt(jnp.maximum(jnp.square(sums).sum(-1, keepdims=True), TINY))


def sample(mesh: Mesh, keys: Key[Array, 'n']) -> Sample:
    """A point for every key, uniform over the surface.

    The point sqrt(u) of the way from a corner to the opposite side, v along it (Osada et al. 2002,
    section 4.1). Differentiable in the vertices at fixed weights.
    """
    draws = jax.vmap(lambda key: jax.random.uniform(key, (3,)))(keys)
    shares = jnp.cumsum(jax.lax.stop_gradient(areas(mesh)))
    # Right of equal sums: faces without area are not drawn.
    faces = jnp.searchsorted(shares, draws[:, 0] * shares[-1], side='right')
    faces = jnp.minimum(faces, len(mesh.faces) - 1)
    far, along = jnp.sqrt(draws[:, 1]), draws[:, 2]
    weights = jnp.stack([1 - far, far * (1 - along), far * along], -1)
    corners = jnp.asarray(mesh.vertices)[jnp.asarray(mesh.faces)[faces]]
    return Sample(jnp.einsum('nk,nkd->nd', weights, corners), faces, weights)


def largest_component(mesh: Mesh) -> Mesh:
    """The connected piece of the most faces, without the vertices of others; in numpy."""
    vertices, faces, colors, normals = (x if x is None else np.asarray(x) for x in mesh)
    edges = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    links = coo_array((np.ones(edges.shape[1], bool), tuple(edges)), shape=2 * (len(vertices),))
    _, piece = connected_components(links, directed=False)
    largest = np.bincount(piece[faces[:, 0]]).argmax()
    kept = piece == largest
    numbers = np.cumsum(kept) - 1
    faces = numbers[faces[kept[faces[:, 0]]]].astype(faces.dtype)
    colors, normals = (x if x is None else x[kept] for x in (colors, normals))
    return Mesh(vertices[kept], faces, colors, normals)


def _crosses(mesh):
    """Normals of the faces, twice as long as their areas."""
    a, b, c = jnp.moveaxis(jnp.asarray(mesh.vertices)[jnp.asarray(mesh.faces)], 1, 0)
    return jnp.cross(b - a, c - a)
