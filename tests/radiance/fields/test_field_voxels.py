"""Voxels: their grids, finer grids of the same function, total variation."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.ops import sh
from jaxcv.radiance.fields import VoxelField
from jaxcv.radiance.fields.voxels import total_variation, upsample


def drawn(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def unit(count):
    x = drawn((count, 3), 5)
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def test_color_and_density_are_those_of_the_nodes():
    field = VoxelField(cells=2, degree=1)
    params = {'density': drawn((3, 3, 3, 1)), 'harmonics': drawn((3, 3, 3, 12), 1)}
    nodes = jnp.stack(jnp.meshgrid(*[jnp.linspace(-1, 1, 3)] * 3, indexing='ij'), -1)
    directions = unit(27)
    found = field.apply({'params': params}, nodes.reshape(-1, 3), directions)
    np.testing.assert_allclose(
        found.density, np.maximum(params['density'].reshape(-1), 0), atol=1e-5
    )
    harmonics = np.asarray(params['harmonics']).reshape(27, 3, 4)
    raw = np.einsum('nck,nk->nc', harmonics, sh.basis(directions, 1))
    np.testing.assert_allclose(found.color, 1 / (1 + np.exp(-raw)), atol=1e-5)


@pytest.mark.parametrize('factor', [1, 2, 3])
def test_a_finer_grid_is_the_same_field(factor):
    coarse = VoxelField(cells=3, degree=1, activation='softplus')
    positions, directions = drawn((40, 3)).clip(-1, 1), unit(40)
    params = coarse.init(jax.random.key(0), positions, directions)['params']
    params = jax.tree.map(lambda x: drawn(x.shape), params)
    finer = jax.tree.map(lambda x: upsample(x, factor), params)
    fine = VoxelField(cells=3 * factor, degree=1, activation='softplus')
    expected = coarse.apply({'params': params}, positions, directions)
    found = fine.apply({'params': finer}, positions, directions)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_total_variation_of_a_linear_grid():
    """A slope per cell, the same everywhere, scaled by cells / 256."""
    x, y, z = np.meshgrid(np.arange(5), np.arange(9), np.arange(3), indexing='ij')
    grid = jnp.asarray(np.stack([x + 2 * y + 3 * z, 0 * x], -1), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 10)
    expected = np.linalg.norm(np.array([1 * 4, 2 * 8, 3 * 2]) / 256)
    np.testing.assert_allclose(total_variation(grid, keys), expected, rtol=1e-5)


def test_total_variation_draws_every_cell_and_nothing_else():
    """One node differs: the cells that see it are it and its 3 neighbors below."""
    grid = jnp.zeros((4, 4, 4, 1)).at[1, 1, 1, 0].set(1.0)
    keys = jax.random.split(jax.random.key(0), 20_000)
    found = jax.jit(total_variation)(grid, keys)
    expected = (np.sqrt(3) + 3) * 3 / 256 / 27
    np.testing.assert_allclose(found, expected, rtol=0.1)
    gradient = jax.jit(jax.grad(total_variation))(grid, keys[:2000])
    assert np.isfinite(gradient).all() and gradient[1, 1, 1, 0] > 0
    outside = jnp.zeros((4, 4, 4, 1)).at[3, 3, 3, 0].set(1.0)
    assert total_variation(outside, keys[:500]) == 0


def test_a_field_grows_as_far_as_it_may():
    """It stays the same function, and is never finer than `finest`."""
    field = VoxelField(cells=3, degree=0, finest=13)
    positions, directions = drawn((40, 3)).clip(-1, 1), unit(40)
    params = field.init(jax.random.key(0), positions, directions)
    params = jax.tree.map(lambda x: drawn(x.shape), params)
    expected = field.apply(params, positions, directions)
    for nodes in (7, 13, 13):
        params = field.grown(params)
        assert {x.shape[:3] for x in jax.tree.leaves(params)} == {(nodes,) * 3}
        found = field.apply(params, positions, directions)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


def test_penalties_are_the_total_variations_of_the_grids():
    """Linear grids vary alike in all cells, whichever are drawn."""
    steps = np.indices((5, 5, 5)).sum(0)[..., None].astype(np.float32)
    params = {'density': jnp.asarray(steps), 'harmonics': jnp.tile(2 * steps, 3)}
    field = VoxelField(cells=4, degree=0)
    found = field.apply({'params': params}, jax.random.key(0), method='penalties')
    unit = 3**0.5 * 4 / 256
    np.testing.assert_allclose(found['variation'], unit, rtol=1e-5)
    np.testing.assert_allclose(found['color_variation'], 2 * 3 * unit, rtol=1e-5)
