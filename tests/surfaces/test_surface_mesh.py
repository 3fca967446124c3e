"""Normals, areas, pieces, and points drawn on meshes."""

import jax
import numpy as np
import pytest

from jaxcv.surfaces import Mesh, largest_component
from jaxcv.surfaces import mesh as meshes

areas, sample, vertex_normals = map(jax.jit, (meshes.areas, meshes.sample, meshes.vertex_normals))

# A box of 1 x 2 x 3 from the origin on, two triangles a side.
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)], np.float32)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
BOX = Mesh(
    CORNERS,
    np.array([f for a, b, c, d in SIDES for f in ((a, b, c), (a, c, d))], np.int32),
)


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def test_areas_and_orientation_of_a_box():
    np.testing.assert_allclose(areas(BOX), np.repeat([3, 3, 1.5, 1.5, 1, 1], 2), rtol=1e-6)
    a, b, c = CORNERS[BOX.faces].swapaxes(0, 1)
    np.testing.assert_allclose((a * np.cross(b, c)).sum() / 6, 6, rtol=1e-6)  # its volume


def test_vertex_normals_of_a_box():
    """At a corner, each side counts by the area of its triangles there."""
    found = np.asarray(vertex_normals(BOX))
    expected = np.zeros((8, 3))
    for face in BOX.faces:
        a, b, c = CORNERS[face].astype(np.float64)
        expected[face] += np.cross(b - a, c - a)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (np.sign(found) == np.sign(CORNERS - CORNERS.mean(0))).all()
    lone = Mesh(np.concatenate([CORNERS, [[9, 9, 9]]]), BOX.faces)
    np.testing.assert_array_equal(vertex_normals(lone)[8], 0)
    flat = Mesh(np.zeros((3, 3), 'f'), np.array([[0, 1, 2]]))
    gradient = jax.jit(jax.grad(lambda v: vertex_normals(Mesh(v, flat.faces)).sum()))
    assert np.isfinite(gradient(flat.vertices)).all()


def test_samples_are_uniform_by_area():
    drawn = sample(BOX, keys(20000))
    points = np.asarray(drawn.points)
    counts = np.bincount(drawn.faces, minlength=12)
    expected = 20000 * np.asarray(areas(BOX)) / 22
    assert ((counts - expected) ** 2 / expected).sum() < 31.3  # chi square of 11, 0.1%
    np.testing.assert_allclose(drawn.weights.sum(1), 1, rtol=1e-6)
    assert drawn.weights.min() >= 0
    on_side = (np.abs(points) < 1e-6) | (np.abs(points - [1, 2, 3]) < 1e-6)
    assert on_side.any(1).all()
    # Along a side of the box the coordinate is uniform: mean 1/2, variance 1/12.
    side = points[np.isin(drawn.faces, [0, 1])]
    share = side[:, 1:] / [2, 3]
    error = np.sqrt(1 / 12 / len(side))
    np.testing.assert_allclose(share.mean(0), 0.5, atol=4 * error)
    np.testing.assert_allclose(share.var(0), 1 / 12, atol=0.005)
    assert abs(np.corrcoef(share.T)[0, 1]) < 4 / len(side) ** 0.5


def test_samples_belong_to_their_keys_and_avoid_empty_faces():
    flat = np.array([[0, 0, 0], [0, 1, 1]], np.int32)
    mesh = Mesh(CORNERS, np.concatenate([flat, BOX.faces[:6], flat, BOX.faces[6:], flat]))
    drawn, one = sample(mesh, keys(500)), sample(mesh, keys(500)[7:8])
    np.testing.assert_array_equal(drawn.points[7:8], one.points)
    assert not np.isin(drawn.faces, [0, 1, 8, 9, 16, 17]).any()


def test_samples_move_with_the_vertices():
    """The derivative of a point in the corners of its face are its weights."""
    drawn = sample(BOX, keys(1))
    gradient = jax.jit(jax.grad(lambda v: sample(Mesh(v, BOX.faces), keys(1)).points[0, 1]))
    expected = np.zeros((8, 3))
    expected[BOX.faces[drawn.faces[0]], 1] = drawn.weights[0]
    np.testing.assert_allclose(gradient(CORNERS), expected, atol=1e-6)


def test_largest_component_keeps_its_attributes():
    small = Mesh(CORNERS + 9, BOX.faces[:4])
    both = Mesh(
        np.concatenate([small.vertices, CORNERS]),
        np.concatenate([small.faces, BOX.faces + 8]),
        colors=np.arange(48.0).reshape(16, 3),
        normals=-np.arange(48.0).reshape(16, 3),
    )
    found = largest_component(both)
    np.testing.assert_array_equal(found.vertices, CORNERS)
    np.testing.assert_array_equal(found.faces, BOX.faces)
    np.testing.assert_array_equal(found.colors, both.colors[8:])
    np.testing.assert_array_equal(found.normals, both.normals[8:])
    assert largest_component(BOX).colors is None


@pytest.mark.oracles
def test_against_trimesh():
    trimesh = pytest.importorskip('trimesh')
    ball = trimesh.creation.icosphere(2)
    mesh = Mesh(ball.vertices.astype('f'), ball.faces)
    np.testing.assert_allclose(areas(mesh), ball.area_faces, rtol=1e-5)
    weights = np.einsum('fk,f->fk', np.ones((len(ball.faces), 3)), ball.area_faces)
    expected = trimesh.geometry.weighted_vertex_normals(
        len(ball.vertices), ball.faces, ball.face_normals, weights, use_loop=True
    )
    np.testing.assert_allclose(vertex_normals(mesh), expected, atol=1e-5)
    pieces = ball + trimesh.creation.box().apply_translation([5, 0, 0])
    largest = largest_component(Mesh(pieces.vertices, pieces.faces))
    assert len(largest.faces) == len(ball.faces)
