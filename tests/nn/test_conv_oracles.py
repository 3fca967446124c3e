"""Convolutions and normalizations against torch."""

import jax
import numpy as np
import pytest

from jaxcv import nn

pytestmark = pytest.mark.oracles


def last(a):
    """Channels of a torch array last."""
    return np.moveaxis(a, 1, -1)


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize('rank', [2, 3])
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(stride=2, padding=1),
        dict(stride=3, padding=2, dilation=2),
        dict(padding=1, groups=2),
        dict(stride=2, padding=1, groups=4),
    ],
)
def test_conv(rank, options):
    torch = pytest.importorskip('torch')
    layer = (None, None, torch.nn.Conv2d, torch.nn.Conv3d)[rank](4, 8, 3, **options)
    x = random(2, 4, *(9, 8, 7)[:rank])
    expected = layer(torch.tensor(x)).detach().numpy()
    weight = np.moveaxis(layer.weight.detach().numpy(), (0, 1), (-1, -2))
    module = nn.Conv(
        8,
        (3,) * rank,
        strides=options.get('stride', 1),
        padding=options.get('padding', 0),
        dilation=options.get('dilation', 1),
        groups=options.get('groups', 1),
    )
    params = {'kernel': weight, 'bias': layer.bias.detach().numpy()}
    np.testing.assert_allclose(module.apply({'params': params}, last(x)), last(expected), atol=1e-5)


@pytest.mark.parametrize('rank', [2, 3])
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(stride=2, padding=1, output_padding=1),
        dict(stride=2, padding=0, groups=2),
        dict(stride=3, padding=2, dilation=2, output_padding=2),
    ],
)
def test_conv_transpose(rank, options):
    torch = pytest.importorskip('torch')
    kind = (None, None, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)[rank]
    layer = kind(4, 6, 3, **options)
    x = random(2, 4, *(5, 4, 3)[:rank])
    expected = layer(torch.tensor(x)).detach().numpy()
    weight = np.moveaxis(layer.weight.detach().numpy(), (0, 1), (-1, -2))
    module = nn.ConvTranspose(
        6,
        (3,) * rank,
        strides=options.get('stride', 1),
        padding=options.get('padding', 0),
        dilation=options.get('dilation', 1),
        groups=options.get('groups', 1),
        output_padding=options.get('output_padding', 0),
    )
    params = {'kernel': weight, 'bias': layer.bias.detach().numpy()}
    np.testing.assert_allclose(module.apply({'params': params}, last(x)), last(expected), atol=1e-5)


def test_batch_norm():
    torch = pytest.importorskip('torch')
    layer = torch.nn.BatchNorm2d(3)
    module = nn.BatchNorm()
    variables = module.init(jax.random.key(0), last(random(2, 3, 4, 4)), train=True)
    for shift in range(3):
        x = random(2, 3, 4, 4 + shift) * 2 + shift
        expected = layer(torch.tensor(x)).detach().numpy()
        y, changed = module.apply(variables, last(x), train=True, mutable='batch_stats')
        variables = {**variables, **changed}
        np.testing.assert_allclose(y, last(expected), atol=1e-5)
    stats = variables['batch_stats']
    np.testing.assert_allclose(stats['mean'], layer.running_mean, atol=1e-5)
    np.testing.assert_allclose(stats['var'], layer.running_var, atol=1e-5)
    expected = layer.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(module.apply(variables, last(x), False), last(expected), atol=1e-5)


def test_norms():
    torch = pytest.importorskip('torch')
    x = random(2, 6, 5, 4) * 3 + 1
    pairs = [
        (nn.GroupNorm(3, epsilon=1e-5), torch.nn.GroupNorm(3, 6)),
        (nn.InstanceNorm(epsilon=1e-5), torch.nn.InstanceNorm2d(6)),
    ]
    for module, layer in pairs:
        y, _ = module.init_with_output(jax.random.key(0), last(x))
        np.testing.assert_allclose(y, last(layer(torch.tensor(x)).detach().numpy()), atol=1e-5)
    y, _ = nn.LayerNorm(epsilon=1e-5).init_with_output(jax.random.key(0), last(x))
    expected = torch.nn.LayerNorm(6)(torch.tensor(last(x).copy())).detach().numpy()
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_global_response_norm():
    torch = pytest.importorskip('torch')
    convnext = pytest.importorskip('transformers.models.convnextv2.modeling_convnextv2')
    layer = convnext.ConvNextV2GRN(6)
    x, gamma, beta = random(2, 5, 4, 6), random(6), random(6) + 1
    layer.weight.data[:], layer.bias.data[:] = torch.tensor(gamma), torch.tensor(beta)
    y = nn.GlobalResponseNorm().apply({'params': {'gamma': gamma, 'beta': beta}}, x)
    np.testing.assert_allclose(y, layer(torch.tensor(x)).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize('kind', ['relu', 'leaky_relu', 'gelu', 'gelu_tanh', 'silu', 'tanh'])
def test_activations(kind):
    torch = pytest.importorskip('torch')
    f = torch.nn.functional
    theirs = {'gelu_tanh': lambda x: f.gelu(x, approximate='tanh'), 'tanh': torch.tanh}
    theirs = theirs.get(kind) or getattr(f, kind)
    x = random(3, 7) * 3
    np.testing.assert_allclose(nn.Activation(kind).apply({}, x), theirs(torch.tensor(x)), atol=1e-5)
