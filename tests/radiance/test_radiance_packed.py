"""Packed samples, against dense ones and loops in numpy."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.radiance import packed as packing
from jaxcv.radiance import volume


def scene(rays=7, steps=45, share=0.4, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    mask = rng.random((rays, steps)) < share
    mask[2] = False
    density = rng.gamma(0.5, 2.0, (rays, steps)) + 0.05
    values = rng.random((rays, steps, 3))
    edges = np.cumsum(rng.uniform(0.05, 0.4, (rays, steps + 1)), axis=-1)
    return mask, *(jnp.asarray(x, dtype) for x in (density, values, edges))


def taken(mask, x, capacity):
    """What a loop over rays and steps finds."""
    rows = np.asarray(x)[mask]
    return np.concatenate([rows, np.full((capacity - len(rows), *rows.shape[1:]), 9.0)])


def test_samples_lie_ray_by_ray():
    mask, _, _, edges = scene()
    found = jax.jit(packing.pack, static_argnums=2)(mask, edges, 150)
    ray, step = np.nonzero(mask)
    n = len(ray)
    assert n < 150 and found.longest == 45
    np.testing.assert_array_equal(found.valid, np.arange(150) < n)
    np.testing.assert_array_equal(found.ray[:n], ray)
    np.testing.assert_array_equal(found.ray[n:], 7)
    np.testing.assert_array_equal(found.rank[:n], (np.cumsum(mask, -1) - 1)[mask])
    np.testing.assert_array_equal(found.start[:n], edges[ray, step])
    np.testing.assert_array_equal(found.end[:n], edges[ray, step + 1])
    np.testing.assert_array_equal(found.lost, 0)
    origins, directions = jax.random.normal(jax.random.key(0), (2, 7, 3))
    points, seen = packing.points(found, origins, directions)
    center = (edges[ray, step] + edges[ray, step + 1]) / 2
    expected = origins[ray] + center[:, None] * directions[ray]
    np.testing.assert_allclose(points[:n], expected, rtol=1e-6)
    np.testing.assert_array_equal(seen[:n], directions[ray])
    assert np.isfinite(points).all()


def test_what_the_capacity_does_not_hold_is_counted():
    mask, _, _, edges = scene()
    wanted = mask.sum(-1)
    full = packing.pack(mask, edges, 200)
    for capacity in (1, 40, mask.sum(), mask.sum() - 1):
        found = packing.pack(mask, edges, int(capacity))
        kept = np.bincount(found.ray[found.valid], minlength=7)
        np.testing.assert_array_equal(kept + found.lost, wanted)
        assert found.lost.sum() == mask.sum() - capacity
        np.testing.assert_array_equal(found.start, full.start[:capacity])


@pytest.mark.parametrize('size', [1, 31, 32, 33, 1000])
@pytest.mark.parametrize('share', [0.0, 0.02, 0.5, 1.0])
def test_marked_places_are_those_of_numpy(size, share):
    mask = np.random.default_rng(size).random(size) < share
    places, total = packing.marked(jnp.asarray(mask), 300)
    expected = np.flatnonzero(mask)
    assert total == len(expected)
    kept = expected[:300]
    np.testing.assert_array_equal(places, np.pad(kept, (0, 300 - len(kept))))


def test_sums_of_nearer_samples_lose_no_digits_far_into_the_pack():
    rng = np.random.default_rng(0)
    mask = rng.random((300, 70)) < 0.6
    found = packing.pack(mask, jnp.tile(jnp.arange(71.0), (300, 1)), int(mask.sum()) + 5)
    x = rng.random(len(found.ray)).astype(np.float32)
    sums = jax.jit(packing.before)(found, x)
    first = 0
    for count in mask.sum(-1):
        own = x[first : first + count].astype(np.float64)
        np.testing.assert_allclose(sums[first : first + count], np.cumsum(own) - own, rtol=1e-6)
        first += count
    np.testing.assert_allclose(
        packing.per_ray(found, jnp.asarray(x))[:3],
        [x[np.asarray(found.ray) == ray].sum() for ray in range(3)],
        rtol=1e-5,
    )


@pytest.mark.parametrize('share', [0.4, 1.0])
def test_packed_and_dense_rendering_agree(share):
    """Also in gradients; and padding may hold anything."""
    with jax.enable_x64(True):
        mask, density, values, edges = scene(share=share, dtype=np.float64)
        white = jnp.ones(3)
        capacity = int(mask.sum()) + 20
        found = packing.pack(jnp.asarray(mask), edges, capacity)

        def dense(density, values):
            return volume.render(jnp.where(mask, density, 0.0), values, edges, white)

        def sparse(density, values):
            return packing.render(found, density, values, white)

        few = [jnp.asarray(taken(mask, x, capacity)) for x in (density, values)]
        expected, rendered = jax.jit(dense)(density, values), jax.jit(sparse)(*few)
        for name in ('values', 'opacity', 'depth', 'median'):
            np.testing.assert_allclose(
                getattr(rendered, name), getattr(expected, name), rtol=1e-12, atol=1e-14
            )
        expected_weights = np.asarray(expected.weights)[mask]
        np.testing.assert_allclose(rendered.weights[: mask.sum()], expected_weights, rtol=1e-11)
        np.testing.assert_array_equal(rendered.weights[mask.sum() :], 0)

        def loss(render, *fields):
            seen = render(*fields)
            return jnp.square(seen.values).sum() + (seen.depth - seen.median).sum()

        slopes = jax.jit(jax.grad(lambda *x: loss(dense, *x), (0, 1)))(density, values)
        others = jax.jit(jax.grad(lambda *x: loss(sparse, *x), (0, 1)))(*few)
        for slope, other in zip(slopes, others, strict=True):
            np.testing.assert_allclose(
                other[: mask.sum()], np.asarray(slope)[mask], rtol=1e-9, atol=1e-12
            )
            np.testing.assert_array_equal(other[mask.sum() :], 0)


def test_gradients_of_edges_are_those_of_dense_samples():
    mask, density, values, edges = scene(rays=3, steps=8, share=1.0)
    mask = np.ones_like(mask)
    found = packing.pack(mask, edges, 24)

    def sparse(edges):
        moved = dataclasses.replace(
            found, start=edges[:, :-1].reshape(-1), end=edges[:, 1:].reshape(-1)
        )
        return packing.render(moved, density.reshape(-1), values.reshape(-1, 3)).values.sum()

    slope = jax.grad(lambda edges: volume.render(density, values, edges).values.sum())(edges)
    np.testing.assert_allclose(jax.grad(sparse)(edges), slope, rtol=1e-4, atol=1e-5)


def test_padding_may_be_nan():
    mask, density, values, edges = scene()
    found = packing.pack(mask, edges, 150)
    few = [jnp.asarray(taken(mask, x, 150), jnp.float32) for x in (density, values)]
    clean = packing.render(found, *few)
    few = [jnp.where(x == 9.0, jnp.nan, x) for x in few]
    for one, other in zip(packing.render(found, *few), clean, strict=True):
        np.testing.assert_array_equal(one, other)
