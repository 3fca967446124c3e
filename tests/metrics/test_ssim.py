"""Structural similarity: a loop over windows, closed forms, derivatives, scikit-image."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from skimage.metrics import structural_similarity

from jaxcv.errors import UserError
from jaxcv.metrics import structure as measure

ssim = jax.jit(measure.ssim, static_argnames='span')


def images(batch=2, height=17, width=20, channels=3, seed=0, noise=0.1):
    """Pairs of smooth images and noisy ones."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(batch, height, width, channels)).cumsum(1).cumsum(2)
    x = 0.5 + 0.4 * np.sin(x / 5)
    y = np.clip(x + noise * rng.normal(size=x.shape), 0, 1)
    return x.astype('f'), y.astype('f')


def brute(x, y, span):
    """One pair, window by window."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    scores = []
    for c in range(x.shape[-1]):
        for i in range(x.shape[0] - 10):
            for j in range(x.shape[1] - 10):
                p, q = (z[i : i + 11, j : j + 11, c].astype(np.float64) for z in (x, y))
                a, b = (window * p).sum(), (window * q).sum()
                variances = (window * (p - a) ** 2).sum() + (window * (q - b) ** 2).sum()
                covariance = (window * (p - a) * (q - b)).sum()
                c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
                score = (2 * a * b + c1) * (2 * covariance + c2)
                scores.append(score / ((a * a + b * b + c1) * (variances + c2)))
    return np.mean(scores)


@pytest.mark.parametrize('span', [1.0, 2.0])
def test_against_a_loop_over_windows(span):
    x, y = images()
    expected = [brute(*pair, span) for pair in zip(x, y, strict=True)]
    np.testing.assert_allclose(ssim(x, y, span=span), expected, atol=2e-6)
    assert min(expected) > 0.1 and max(expected) < 0.95


@pytest.mark.parametrize('shape', [(11, 11, 1), (11, 30, 3), (40, 33, 1)])
def test_against_scikit_image(shape):
    """Whose default `reflect` at borders does not reach the windows that count."""
    x, y = images(3, *shape)
    expected = [
        structural_similarity(
            *(z.astype(np.float64) for z in pair),
            gaussian_weights=True,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=-1,
        )
        for pair in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(x, y), expected, atol=2e-6)


def test_closed_forms():
    x, y = images()
    np.testing.assert_allclose(ssim(x, x), 1, atol=1e-6)
    np.testing.assert_allclose(ssim(x, y), ssim(y, x), rtol=1e-6)
    flat = np.ones((1, 12, 12, 1), 'f')  # only the means differ
    np.testing.assert_allclose(
        ssim(0.2 * flat, 0.8 * flat), (2 * 0.16 + 1e-4) / (0.04 + 0.64 + 1e-4), rtol=1e-4
    )
    np.testing.assert_allclose(ssim(2 * x, 2 * y, span=2.0), ssim(x, y), rtol=1e-4)
    noisier = images(noise=0.3)[1]
    assert (ssim(x, noisier) < ssim(x, y)).all()


def test_gradients():
    """Against finite differences, for both images, at corners and within."""
    with jax.enable_x64(True):
        x, y = (jnp.asarray(z, jnp.float64) for z in images(1, 14, 13, 2))
        loss = jax.jit(lambda x, y: ssim(x, y).sum())
        for argument, gradient in enumerate(jax.jit(jax.grad(loss, (0, 1)))(x, y)):
            for index in [(0, 0, 0, 0), (0, 13, 12, 1), (0, 6, 7, 0), (0, 2, 11, 1)]:
                step = jnp.zeros_like(x).at[index].set(1e-5)
                ends = [
                    loss(x + s * step, y) if argument == 0 else loss(x, y + s * step)
                    for s in (1, -1)
                ]
                expected = (ends[0] - ends[1]) / 2e-5
                np.testing.assert_allclose(gradient[index], expected, rtol=1e-6, atol=1e-10)


def test_float32_gradient_and_its_derivative():
    x, y = images(1, 16, 16, 1)
    gradient = jax.grad(lambda x, y: measure.ssim(x, y).sum())
    with jax.enable_x64(True):
        exact = jax.jit(gradient)(*(jnp.asarray(z, jnp.float64) for z in (x, y)))
    found = jax.jit(gradient)(x, y)
    np.testing.assert_allclose(found, exact, atol=1e-4 * np.abs(exact).max())
    direction = images(1, 16, 16, 1, seed=1)[0]
    # Reverse over reverse.
    second = jax.jit(jax.grad(lambda x: (gradient(x, y) * direction).sum()))(x)
    ahead, behind = (jax.jit(gradient)(x + s * direction, y) for s in (0.01, -0.01))
    np.testing.assert_allclose(second, (ahead - behind) / 0.02, atol=0.05 * np.abs(second).max())


def test_descent_finds_the_image():
    _, y = images(1, 24, 24, 1)
    x = jnp.full_like(y, 0.5)
    step = jax.jit(lambda x: x - 30 * jax.grad(lambda x: 1 - measure.ssim(x, y).sum())(x))
    before = ssim(x, y)
    for _ in range(60):
        x = step(x)
    assert before < 0.2 and ssim(x, y) > 0.8


def test_mistakes():
    with pytest.raises(UserError, match='images of 10x20 are smaller than the window'):
        ssim(*images(1, 10, 20))
