"""The convolution against `jax.lax`, whose derivatives are autodiff's own."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.nn import convolve, convolve_transpose, patches
from jaxcv.nn.bilinear import product
from jaxcv.nn.faces import CONVOLUTION, autodiff, canonical
from jaxcv.nn.geometry import Geometry


def reference(x, kernel, strides, pads, dilation, groups):
    space = 'DHW'[5 - x.ndim :]
    layout = (f'N{space}C', f'{space}IO', f'N{space}C')
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        feature_group_count=groups,
        dimension_numbers=layout,
    )


def random(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def close(actual, desired):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), actual, desired
    )


@pytest.fixture(autouse=True)
def double():
    """In float64 a wrong formula cannot hide in rounding."""
    with jax.enable_x64(True):
        yield


@st.composite
def cases(draw):
    rank = draw(st.sampled_from([2, 2, 3]))
    axes = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    groups, inputs, features = draw(
        # One group, few, depthwise, depthwise with two features each, many.
        st.sampled_from([(1, 3, 2), (2, 4, 6), (5, 5, 5), (9, 9, 18), (9, 18, 9)])
    )
    taps, strides, dilation = axes(1, 3), axes(1, 3), axes(1, 2)
    pads = tuple(zip(axes(-1, 4), axes(-1, 4), strict=True))
    size = tuple(
        draw(st.integers(max((k - 1) * d + 1 - sum(p), 3), 9))
        for k, d, p in zip(taps, dilation, pads, strict=True)
    )
    return Geometry(size, taps, strides, pads, dilation, groups), inputs, features


@settings(max_examples=12, deadline=None, derandomize=True)
@given(cases(), st.integers(1, 6))
def test_faces_are_autodiffs(case, samples):
    geometry, inputs, features = case
    x = random(0, samples, *geometry.size, inputs)
    k = random(1, *geometry.taps, inputs // geometry.groups, features)
    y = random(2, samples, *geometry.output, features)

    @jax.jit
    def faces(x, k, y):
        operands = {'y': (x, k), 'x': (k, y), 'k': (x, y)}
        forms = [autodiff, canonical, lambda role, *rest: CONVOLUTION[role](*rest)]
        if geometry.groups == 1:
            forms.append(lambda role, *rest: patches.FACES[role](*rest))
        return [{r: form(r, a, b, geometry) for r, (a, b) in operands.items()} for form in forms]

    expected, *found = faces(x, k, y)
    for face in found:
        close(face, expected)


VARIANTS = [
    dict(strides=(2, 3), padding=((0, 2), (3, 0)), dilation=(2, 1), groups=1),
    dict(strides=(2, 1), padding=((1, 0), (0, 0)), dilation=(1, 2), groups=2),
    dict(strides=(2, 2), padding=((1, 1), (0, 1)), dilation=(1, 1), groups=4),
]


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize(
    'transform',
    [
        lambda f, x, k: jax.grad(lambda x, k: f(x[0], k[0]), (0, 1))(x, k),
        lambda f, x, k: jax.jvp(f, (x[0], k[0]), (x[1], k[1])),
        lambda f, x, k: jax.jvp(jax.grad(f, (0, 1)), (x[0], k[0]), (x[1], k[1])),
        lambda f, x, k: jax.grad(lambda k: jnp.sum(jax.grad(f)(x[0], k) ** 3))(k[0]),
        lambda f, x, k: jax.vmap(jax.grad(f, (0, 1)))(x, k),
        lambda f, x, k: jax.vmap(jax.grad(f, (0, 1)), (0, None))(x, k[0]),
        lambda f, x, k: jax.vmap(jax.grad(f, (0, 1)), (None, 0))(x[0], k),
        lambda f, x, k: jax.vmap(jax.grad(f, (0, 1)), (1, 2))(
            jnp.moveaxis(x, 0, 1), jnp.moveaxis(k, 0, 2)
        ),
        lambda f, x, k: jax.grad(
            lambda k: jax.lax.scan(lambda c, x: (c + jax.checkpoint(f)(x, k), None), 0.0, x)[0]
        )(k[0]),
    ],
    ids=['grad', 'jvp', 'fisher', 'second', 'vmap', 'vmap_x', 'vmap_k', 'vmap_axes', 'scan_remat'],
)
def test_transformations(transform, variant):
    x, k = random(0, 3, 2, 7, 6, 4), random(1, 3, 3, 2, 4 // variant['groups'], 4)
    ours = lambda x, k: jnp.sum(jnp.tanh(convolve(x, k, **variant)) ** 2)  # noqa: E731
    theirs = lambda x, k: jnp.sum(jnp.tanh(reference(x, k, *variant.values())) ** 2)  # noqa: E731
    close(*jax.jit(lambda x, k: (transform(ours, x, k), transform(theirs, x, k)))(x, k))


@pytest.mark.parametrize('size', [7, 8])
@pytest.mark.parametrize('strides', [1, 3])
@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
def test_named_padding(size, strides, padding):
    x, k = random(0, 2, size, size, 3), random(1, 3, 2, 3, 4)
    close(
        convolve(x, k, strides=strides, padding=padding),
        reference(x, k, (strides,) * 2, padding, (1, 1), 1),
    )


@pytest.mark.parametrize('strides, taps', [(1, 3), (2, 1), (2, 4), (3, 2)])
def test_transpose_is_the_gradient(strides, taps):
    """<y, conv(x)> = <conv_transpose(y), x>, with sizes that 'SAME' multiplies by the strides."""
    x, y = random(0, 2, 4 * strides, 5 * strides, 4), random(1, 2, 4, 5, 6)
    k = random(2, taps, taps, 2, 6)
    options = dict(strides=strides, groups=2)
    forward = jnp.vdot(convolve(x, k, **options), y)
    close(jnp.vdot(convolve_transpose(y, k, **options), x), forward)


def test_forward_mode_of_transpose():
    y, k = random(0, 2, 4, 5, 3), random(1, 3, 3, 2, 3)
    f = functools.partial(convolve_transpose, strides=2, padding=1, output_padding=1)
    exact = f(y + 1.0, k) - f(y, k)
    close(jax.jvp(lambda y: f(y, k), (y,), (jnp.ones_like(y),))[1], exact)


def test_lowering_is_canonical_on_cpu():
    """On CPU no convolution of a gradient inside a loop has a layout that XLA runs slowly."""
    x, k = random(0, 8, 16, 16, 64), random(1, 3, 3, 64, 64)
    grads = jax.grad(lambda x, k: jnp.sum(convolve(x, k) ** 2), (0, 1))
    text = jax.jit(grads).trace(x, k).lower(lowering_platforms=('cpu',)).as_text()
    convolutions = [line for line in text.splitlines() if 'stablehlo.convolution' in line]
    assert len(convolutions) == 3
    assert all('[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]' in line for line in convolutions)
    text = jax.jit(grads).trace(x, k).lower(lowering_platforms=('cuda',)).as_text()
    assert '[f, 0, 1, b]' in text  # autodiff's own, which cuDNN reads as it is


def test_mixed_types_promote():
    x, k = jnp.ones((1, 4, 4, 2), jnp.bfloat16), jnp.ones((3, 3, 2, 2), jnp.float32)
    assert convolve(x, k).dtype == jnp.float32
    assert jax.grad(lambda x: convolve(x, k).sum())(x).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda x, k: convolve(x, k, padding='SMAE'), "mean 'SAME'"),
        (lambda x, k: convolve(x, k, groups=2), 'groups'),
        (lambda x, k: convolve(x, k, strides=(1, 1, 1)), 'strides'),
        (lambda x, k: convolve(x[:, :2], k, padding='VALID'), 'no output'),
        (lambda x, k: convolve(x[0], k), 'expected'),
        (lambda x, k: convolve_transpose(x, k, output_padding=1), 'output_padding'),
    ],
)
def test_mistakes_are_one_line(call, words):
    with pytest.raises(UserError, match=words) as error:
        call(random(0, 1, 5, 5, 4), random(1, 3, 3, 4, 4))
    assert '\n' not in str(error.value)


def test_product_is_symmetric():
    """The three faces are derivatives of one form: <y, F> = <x, X> = <k, K>."""
    geometry = Geometry((6, 5), (3, 2), (2, 1), ((1, 0), (0, 2)), (1, 2), 2)
    x, k = random(0, 2, 6, 5, 4), random(1, 3, 2, 2, 6)
    y = random(2, 2, *geometry.output, 6)
    form = jnp.vdot(product('y', x, k, geometry), y)
    close(jnp.vdot(product('x', k, y, geometry), x), form)
    close(jnp.vdot(product('k', x, y, geometry), k), form)
