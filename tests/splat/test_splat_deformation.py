"""Gaussians that move: nothing at first, then what a plane says, and how fast."""

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.splat import Gaussians
from jaxcv.splat.deformation import SIZES, Deformation, Nothing, deforming, still

COUNT = 7
SMALL = {'cells': (3, 5), 'time_cells': 4, 'features': 2, 'widths': (8, 4)}


def gaussians(seed=0):
    rng = np.random.default_rng(seed)
    shapes = (COUNT, 3), (COUNT, 3), (COUNT, 4), (COUNT,), (COUNT, 4, 3)
    return Gaussians(*(jnp.asarray(rng.uniform(-0.9, 0.9, shape), jnp.float32) for shape in shapes))


def drawn(motion, seed=1):
    """Parameters that are all different."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(motion.init, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), shapes)


def test_nothing_moves_at_first():
    made, one = deforming(Deformation(**SMALL, changes=tuple(SIZES))), gaussians()
    params = made.init(jax.random.key(0))
    assert set(params) == {'planes', 'network'}
    moved = made.at(params, one, jnp.array([0.0, 0.3, 1.0]))
    for before, after in zip(one, moved, strict=True):
        np.testing.assert_array_equal(after, np.broadcast_to(before, (3, *before.shape)))


def test_still_scenes_are_themselves():
    made, one = still(Nothing()), gaussians()
    assert made.init(jax.random.key(0)) == {} and made.penalties({}) == {}
    assert made.at({}, one, jnp.zeros(3)) is one


def test_each_time_has_its_own():
    """As if there were no other; what is not to change does not."""
    made, one = deforming(Deformation(**SMALL, changes=('means', 'sh'))), gaussians()
    params, times = drawn(made), jnp.array([0.0, 0.4, 0.9])
    found = jax.jit(made.at)(params, one, times)
    for i, time in enumerate(times):
        alone = made.at(params, one, time)
        jax.tree.map(lambda x, y, i=i: np.testing.assert_allclose(x[i], y, atol=1e-5), found, alone)
    for name in ('log_scales', 'rotations', 'opacity_logits'):
        np.testing.assert_array_equal(getattr(found, name)[1], getattr(one, name))
    assert np.abs(found.means[0] - found.means[1]).min() > 1e-6
    np.testing.assert_array_equal(found.sh[1, :, 1:], one.sh[:, 1:])
    assert np.abs(found.sh[1, :, 0] - one.sh[:, 0]).max() > 1e-3


def by_hand(params, one, time):
    """In float64, from the definition."""
    flat = traverse_util.flatten_dict(jax.tree.map(np.float64, params), sep='/')
    places = np.concatenate([one.means, np.full((COUNT, 1), 2 * time - 1)], -1).astype(np.float64)
    features = []
    for scale in range(2):
        product = 1.0
        for a in range(4):
            for b in range(a + 1, 4):
                plane = flat[f'planes/scale{scale}_plane{a}{b}']
                product = product * bilinear(plane, places[:, a], places[:, b])
        features.append(product)
    x = np.concatenate(features, -1)
    for layer in ('hidden/hidden0', 'hidden/out'):
        x = np.maximum(x @ flat[f'network/{layer}/kernel'] + flat[f'network/{layer}/bias'], 0)
    return {
        name: x @ flat[f'network/{name}/kernel'] + flat[f'network/{name}/bias'] for name in SIZES
    }


def bilinear(plane, x, y):
    x, y = ((at + 1) / 2 * (size - 1) for at, size in zip((x, y), plane.shape, strict=False))
    i, j = np.int32(np.floor(x)), np.int32(np.floor(y))
    u, v = (x - i)[:, None], (y - j)[:, None]
    low = (1 - v) * plane[i, j] + v * plane[i, j + 1]
    return (1 - u) * low + u * ((1 - v) * plane[i + 1, j] + v * plane[i + 1, j + 1])


def test_changes_are_those_of_the_definition():
    made, one = deforming(Deformation(**SMALL, changes=tuple(SIZES))), gaussians()
    params = drawn(made)
    found, expected = made.at(params, one, jnp.float32(0.3)), by_hand(params, one, 0.3)
    for name in ('means', 'log_scales', 'rotations'):
        change = getattr(found, name) - getattr(one, name)
        np.testing.assert_allclose(change, expected[name], rtol=1e-3, atol=1e-4)
    change = found.opacity_logits - one.opacity_logits
    np.testing.assert_allclose(change, expected['opacity_logits'][:, 0], rtol=1e-3, atol=1e-4)
    change = found.sh[:, 0] - one.sh[:, 0]
    np.testing.assert_allclose(change, expected['sh'], rtol=1e-3, atol=1e-4)


def test_gradients_are_differences():
    """Of what is computed by hand; of places too, which move through the planes."""
    made, one = deforming(Deformation(**SMALL, changes=tuple(SIZES))), gaussians()
    params, rng = drawn(made), np.random.default_rng(3)
    weights = {name: rng.normal(size=(COUNT, count)) for name, count in SIZES.items()}

    def value(params, means):
        found = made.at(params, one._replace(means=means), jnp.float32(0.3))
        found = found._replace(means=found.means - means, sh=found.sh[:, 0])._asdict()
        return sum((weights[name].reshape(x.shape) * x).sum() for name, x in found.items())

    def exact(params, means):
        found = by_hand(params, one._replace(means=means), 0.3)
        return sum((weights[name] * x).sum() for name, x in found.items())

    slope = jax.jit(jax.grad(value, (0, 1)))(params, one.means)
    at = jax.tree.map(np.float64, (params, one.means))
    way = jax.tree.map(lambda x: rng.normal(size=x.shape), at)
    for part in (0, 1):  # parameters, places
        along = tuple(jax.tree.map(lambda w, on=i == part: w * on, way[i]) for i in (0, 1))
        ahead, behind = (
            exact(*jax.tree.map(lambda x, w, s=s: x + s * w, at, along)) for s in (1e-6, -1e-6)
        )
        products = jax.tree.map(lambda x, w: (x * w).sum(), slope, along)
        found = sum(jax.tree.leaves(products))
        np.testing.assert_allclose(found, (ahead - behind) / 2e-6, rtol=1e-4)


def test_what_cannot_change():
    made = deforming(Deformation(changes=('color',)))
    with pytest.raises(UserError, match="what changes with time is 'color'"):
        made.init(jax.random.key(0))
