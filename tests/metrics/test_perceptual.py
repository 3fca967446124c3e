"""The perceptual distance against its formula, and against torch."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.metrics.perceptual import distance, perceptual, unit

SHAPES = [(3, 8, 6, 4), (3, 4, 3, 7)]


def maps(seed):
    generator = np.random.default_rng(seed)
    return [jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in SHAPES]


def weights():
    return [jnp.asarray(np.random.default_rng(5).uniform(size=shape[-1])) for shape in SHAPES]


def test_of_two_directions():
    """|u - v|^2 = 2 - 2 cos of the angle, at every position."""
    angles = np.random.default_rng(0).uniform(0, np.pi, (2, 5, 3))
    x = jnp.zeros((2, 5, 3, 2)).at[..., 0].set(7.0)
    y = 0.1 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    wanted = (2 - 2 * np.cos(angles)).mean((1, 2))
    np.testing.assert_allclose(distance([x], [y]), wanted, rtol=1e-5)


def test_zero_for_the_same_directions_only():
    x, y = maps(0), maps(1)
    np.testing.assert_array_equal(distance(x, x, weights()), 0)
    longer = [jnp.abs(b[..., :1]) * a for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(distance(x, longer), 0, atol=1e-10)
    turned = [x[0], x[1].at[1, 2, 2, 3].add(0.1)]
    found = distance(x, turned, weights())
    assert found[1] > 1e-6 and found[0] == found[2] == 0
    np.testing.assert_allclose(distance(x, y), distance(y, x), rtol=1e-6)


def test_gradients_by_finite_differences():
    with jax.enable_x64(True):
        x, y = ([jnp.asarray(m[:1, :2, :2], jnp.float64) for m in maps(seed)] for seed in (0, 1))
        w = [jnp.asarray(v, jnp.float64) for v in weights()]
        gradients = jax.grad(lambda x: distance(x, y, w).sum())(x)
        generator, step = np.random.default_rng(2), 1e-6
        way = [jnp.asarray(generator.normal(size=m.shape)) for m in x]

        def along(t):
            return distance([m + t * d for m, d in zip(x, way, strict=True)], y, w).sum()

        slope = (along(step) - along(-step)) / (2 * step)
        found = sum((g * d).sum() for g, d in zip(gradients, way, strict=True))
        np.testing.assert_allclose(found, slope, rtol=1e-7)


def test_gradients_are_finite_where_features_are_zero():
    x = maps(0)[0].at[:, 2:4].set(0.0)
    assert np.isfinite(jax.grad(lambda x: distance([x], maps(1)[:1]).sum())(x)).all()
    np.testing.assert_array_equal(unit(jnp.zeros((2, 3))), 0)


def test_of_images_and_in_bfloat16():
    images, others = maps(0)[0], maps(1)[0]
    found = perceptual(lambda x: [jnp.tanh(x), x[:, ::2]])(images, others)
    wanted = distance([jnp.tanh(images)], [jnp.tanh(others)])
    wanted += distance([images[:, ::2]], [others[:, ::2]])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    half = perceptual(lambda x: [x.astype(jnp.bfloat16)])(images, others)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, distance([images], [others]), rtol=2e-2)


def test_mistakes_are_sentences():
    with pytest.raises(UserError, match='2 and 1 layers with weights of 2'):
        distance(maps(0), maps(0)[:1])


@pytest.mark.oracles
@pytest.mark.parametrize('weighted', [False, True])
def test_against_torch(weighted):
    torch = pytest.importorskip('torch')
    given = weights() if weighted else None
    total = 0
    for i, (x, y) in enumerate(zip(maps(0), maps(1), strict=True)):
        x, y = (torch.tensor(np.asarray(m)).permute(0, 3, 1, 2) for m in (x, y))
        x, y = (torch.nn.functional.normalize(m, dim=1) for m in (x, y))
        kernel = torch.tensor(np.asarray(given[i])) if weighted else torch.ones(x.shape[1])
        layer = torch.nn.functional.conv2d((x - y) ** 2, kernel[None, :, None, None])
        total = total + layer.mean((1, 2, 3))
    np.testing.assert_allclose(distance(maps(0), maps(1), given), total, rtol=1e-5)
