"""Planes: their lookups, what fields make of them, and regularizers by hand."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.radiance.fields import Condition, KPlanesField, TriPlaneField, planes


def linear(shape, slopes):
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing='ij')
    values = sum(s * x for s, x in zip(slopes, axes, strict=True))
    return jnp.asarray(values[..., None], jnp.float32)


def test_a_plane_sees_its_two_axes():
    plane = linear((4, 6), (2.0, -3.0))
    positions = np.random.default_rng(0).uniform(-1, 1, (9, 4))
    for a, b in planes.SPACE + planes.TIME:
        found = planes.project(plane, jnp.asarray(positions, jnp.float32), (a, b))[:, 0]
        expected = 2 * positions[:, a] - 3 * positions[:, b]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_regularizers_of_linear_planes():
    """Differences of 2 x slope / cells along each axis; none of second order."""
    plane = linear((5, 9), (2.0, 4.0))
    np.testing.assert_allclose(planes.plane_variation(plane), 1.0**2 + 1.0**2, rtol=1e-5)
    np.testing.assert_allclose(planes.time_smoothness(plane), 0, atol=1e-9)
    np.testing.assert_allclose(planes.time_sparsity(jnp.full((3, 4, 2), 0.25)), 0.75)
    np.testing.assert_allclose(planes.plane_variation(plane, (1,)), 1.0**2, rtol=1e-5)
    bent = jnp.zeros((2, 3, 1)).at[0, 1].set(1.0)
    np.testing.assert_allclose(planes.time_smoothness(bent), (2**2 + 0) / 2)


def encoded(field, positions, condition=None):
    variables = field.init(jax.random.key(0), positions, positions, condition)
    features = field.apply(variables, positions, condition, method='encode')
    return variables['params'], features


def test_tri_planes_are_summed_and_k_planes_multiplied():
    positions = jax.random.uniform(jax.random.key(1), (7, 3), minval=-1.0)
    params, found = encoded(TriPlaneField(cells=4, features=2), positions)
    parts = [planes.project(params[f'plane{a}{b}'], positions, (a, b)) for a, b in planes.SPACE]
    np.testing.assert_allclose(found, parts[0] + parts[1] + parts[2], atol=1e-6)
    params, found = encoded(KPlanesField(cells=(4, 7), features=2), positions)
    for scale, features in enumerate((found[:, :2], found[:, 2:])):
        names = [(f'scale{scale}_plane{a}{b}', (a, b)) for a, b in planes.SPACE]
        parts = [planes.project(params[name], positions, axes) for name, axes in names]
        np.testing.assert_allclose(features, parts[0] * parts[1] * parts[2], atol=1e-6)


def test_time_starts_as_no_time():
    """Planes of time begin at 1, and then matter."""
    positions = jax.random.uniform(jax.random.key(1), (7, 3), minval=-1.0)
    field = KPlanesField(cells=(4,), time_cells=3, features=2)
    condition = Condition(time=jnp.linspace(0, 1, 7))
    params, found = encoded(field, positions, condition)
    still = KPlanesField(cells=(4,), features=2)
    spatial = {name: params[name] for name in params if not name.endswith('3')}
    expected = still.apply({'params': spatial}, positions, None, method='encode')
    np.testing.assert_allclose(found, expected, atol=1e-6)
    plane = linear((5, 4), (0.0, 1.0))
    params = {**params, 'scale0_plane03': jnp.broadcast_to(plane, (5, 4, 2))}
    moved = field.apply({'params': params}, positions, condition, method='encode')
    scale = 2 * np.linspace(0, 1, 7)[:, None] - 1
    np.testing.assert_allclose(moved, expected * scale, atol=1e-6)


def test_penalties_are_those_of_all_planes():
    """Time has no say in how far features may vary: that is for smoothness."""
    positions, told = jnp.zeros((1, 3)), Condition(time=jnp.zeros(1))
    field = KPlanesField(cells=(4, 7), time_cells=5, features=2)
    params = field.init(jax.random.key(0), positions, positions, told)['params']
    rng = np.random.default_rng(0)
    params = {
        name: rng.normal(size=x.shape).astype(np.float32) if name.startswith('scale') else x
        for name, x in params.items()
    }
    found = field.apply({'params': params}, jax.random.key(0), method='penalties')
    expected = {'variation': 0.0, 'smoothness': 0.0, 'sparsity': 0.0}
    for name, plane in params.items():
        if name.startswith('scale'):
            expected['variation'] += np.square(np.diff(plane, axis=0)).mean()
            if '3' in name:
                expected['smoothness'] += np.square(np.diff(plane, n=2, axis=1)).mean()
                expected['sparsity'] += np.abs(plane - 1).mean()
            else:
                expected['variation'] += np.square(np.diff(plane, axis=1)).mean()
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)

    field = TriPlaneField(cells=4, features=2)
    variables = field.init(jax.random.key(0), positions, positions)
    drawn = [np.asarray(variables['params'][f'plane{a}{b}']) for a, b in planes.SPACE]
    expected = sum(np.square(np.diff(x, axis=i)).mean() for x in drawn for i in (0, 1))
    found = field.apply(variables, jax.random.key(0), method='penalties')
    np.testing.assert_allclose(found['variation'], expected, rtol=1e-5)
