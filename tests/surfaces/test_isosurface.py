"""Marching cubes of functions: spheres in closed form, orientation, chunks, colors, mistakes."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.surfaces import evaluated, extract, marching_cubes, sampled

CENTER = np.float32([0.1, -0.2, 0.3])
LOW, HIGH = (-1, -1.2, -0.8), (1.2, 1, 1.4)


@jax.jit
def distance(points):
    """Signed distance from a sphere of radius 0.7."""
    return jnp.linalg.norm(points - CENTER, axis=-1) - 0.7


def volume(mesh):
    a, b, c = mesh.vertices[mesh.faces].swapaxes(0, 1)
    return (a * np.cross(b, c)).sum() / 6


@pytest.mark.parametrize('inside', ['below', 'above'])
def test_a_sphere(inside):
    sign = 1 if inside == 'below' else -1
    mesh = extract(lambda x: sign * distance(x) + 5, LOW, HIGH, 32, level=5.0, inside=inside)
    radii = np.linalg.norm(mesh.vertices - CENTER, axis=1)
    np.testing.assert_allclose(radii, 0.7, atol=0.002)
    np.testing.assert_allclose(volume(mesh), 4 / 3 * np.pi * 0.7**3, rtol=0.01)  # outward
    outward = (mesh.vertices - CENTER) / radii[:, None]
    assert (mesh.normals * outward).sum(1).min() > 0.98
    assert mesh.colors is None and mesh.faces.dtype == np.int32
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed


@pytest.mark.parametrize('chunk', [7, 60, 1000])
def test_sampled_in_chunks_of_one_shape(chunk):
    shapes = set()

    def function(points):
        shapes.add(points.shape)
        return points @ jnp.float32([1, 10, 100])

    found = sampled(function, (0, 0, -1), (2, 3, 3), (3, 4, 5), chunk)
    x, y, z = np.meshgrid(np.arange(3), np.arange(4), np.arange(-1, 4), indexing='ij')
    np.testing.assert_allclose(found, x + 10 * y + 100 * z, rtol=1e-6)
    assert shapes == {(min(chunk, 60), 3)}
    points = np.random.default_rng(0).normal(size=(50, 3)).astype('f')
    np.testing.assert_allclose(evaluated(jnp.sin, points, chunk), np.sin(points), atol=1e-6)


def test_colors_of_vertices():
    mesh = extract(distance, LOW, HIGH, 12, color=lambda x: 2 * x, chunk=100)
    np.testing.assert_allclose(mesh.colors, np.clip(2 * mesh.vertices, 0, 1), atol=1e-6)


def test_only_the_largest_piece():
    def two(points):
        return jnp.minimum(distance(points), jnp.linalg.norm(points - 1.1, axis=-1) - 0.15)

    both = extract(two, LOW, HIGH, 24)
    one = extract(two, LOW, HIGH, 24, largest=True, color=jnp.abs)
    assert len(one.faces) < len(both.faces)
    assert np.abs(distance(one.vertices)).max() < 0.01
    assert len(one.colors) == len(one.normals) == len(one.vertices) == one.faces.max() + 1


@pytest.mark.parametrize('part', [slice(0, 10), slice(10, 24)])
def test_only_cells_whose_corners_are_all_in_the_mask(part):
    values = sampled(distance, LOW, HIGH, 24)
    mask, spacing = np.zeros(values.shape, bool), 2.2 / 23
    mask[part, 3:] = True
    mesh = marching_cubes(values, 0.0, LOW, np.full(3, spacing), mask=mask)
    low, high = (LOW[0] + spacing * place for place in (part.start, part.stop - 1))
    np.testing.assert_allclose(mesh.vertices[:, 0].min(), max(low, -0.6), atol=0.01)
    np.testing.assert_allclose(mesh.vertices[:, 0].max(), min(high, 0.8), atol=0.01)
    np.testing.assert_allclose(distance(mesh.vertices), 0, atol=0.005)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, rtol=1e-5)
    # What is outside the mask does not matter.
    values[~mask] = np.nan
    again = marching_cubes(values, 0.0, LOW, np.full(3, spacing), mask=mask)
    np.testing.assert_array_equal(again.vertices, mesh.vertices)


def test_mistakes():
    with pytest.raises(UserError, match='no surface at level 9: the values run from -0'):
        extract(distance, LOW, HIGH, 8, level=9.0)
    with pytest.raises(UserError, match='must be one of above, below'):
        extract(distance, LOW, HIGH, 8, inside='belwo')
    with pytest.raises(UserError, match='has no cells'):
        extract(distance, LOW, HIGH, (8, 8, 1))
    values = sampled(distance, LOW, HIGH, 8)
    with pytest.raises(UserError, match='the values are none'):
        marching_cubes(values, 0.0, LOW, (1, 1, 1), mask=np.zeros(values.shape, bool))
    with pytest.raises(UserError, match='at level 0 inside the mask'):
        marching_cubes(values, 0.0, LOW, (1, 1, 1), mask=np.indices(values.shape).sum(0) % 2 == 0)
